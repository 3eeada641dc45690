/* The work of the engine's hot paths in C: compiled on the spot, for this machine. */
#include <math.h>
#include <stdint.h>
#include <string.h>

/* Black (1976): prices [options][states] of the options of one chain, in the settlement asset: `unit` is what one unit of price is worth. */
void black76(int64_t options, int64_t states, const double *restrict forward, const double *restrict unit, const double *restrict strike,
             const double *restrict own, const double *restrict ratio, const double *restrict sign, double *restrict price)
{
    double log_forward[states];
    for (int64_t m = 0; m < states; m++)
        log_forward[m] = log(forward[m]);
    for (int64_t i = 0; i < options; i++) {
        const double k = strike[i], log_k = log(k), o = own[i], s = sign[i];
        double *restrict row = price + i * states;
        for (int64_t m = 0; m < states; m++) {
            const double w = o * ratio[m];
            const double d1 = (log_forward[m] - log_k) / w + 0.5 * w;
            const double d2 = d1 - w;
            const double undiscounted = s * 0.5 * (forward[m] * (1.0 + erf(s * d1 * M_SQRT1_2)) - k * (1.0 + erf(s * d2 * M_SQRT1_2)));
            row[m] = fmax(0.0, undiscounted * unit[m]);
        }
    }
}

/* Present values [bonds][states]: each flow discounted by itself, its rate interpolated linearly between two nodes of the curve. */
void bonds(int64_t count, int64_t states, const int64_t *restrict first, const double *restrict years, const double *restrict amount,
           const int64_t *restrict node, const double *restrict share, const double *restrict zero, double *restrict value)
{
    for (int64_t i = 0; i < count; i++) {
        double *restrict row = value + i * states;
        memset(row, 0, states * sizeof(double));
        for (int64_t f = first[i]; f < first[i + 1]; f++) {
            const double *restrict low = zero + node[f] * states, *restrict high = low + states;
            const double t = -years[f], a = amount[f], u = share[f];
            for (int64_t m = 0; m < states; m++)
                row[m] += a * exp(t * (low[m] + u * (high[m] - low[m])));
        }
    }
}

/* Sparse (accounts x instruments) times dense (instruments x scenarios), the dense one in tiles of 32 scenarios: [tile][instrument][32]. */
#define TILE 32
void house(int64_t accounts, int64_t instruments, int64_t tiles, const int64_t *restrict first, const int32_t *restrict instrument,
           const double *restrict quantity, const double *restrict tiled, double *restrict out)
{
    for (int64_t t = 0; t < tiles; t++) {
        const double *restrict p = tiled + t * instruments * TILE;
        for (int64_t a = 0; a < accounts; a++) {
            double sum[TILE] = {0};
            for (int64_t e = first[a]; e < first[a + 1]; e++) {
                const double q = quantity[e];
                const double *restrict row = p + (int64_t)instrument[e] * TILE;
                if (e + 8 < first[a + 1])
                    __builtin_prefetch(p + (int64_t)instrument[e + 8] * TILE);
                for (int s = 0; s < TILE; s++)
                    sum[s] += q * row[s];
            }
            memcpy(out + a * tiles * TILE + t * TILE, sum, sizeof sum);
        }
    }
}
