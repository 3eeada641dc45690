/* A full tick of a house in C, one thread: every instrument revalued in every scenario, then the margin of every account.
 *
 * Whatever no tick changes was laid out before. Axis M holds the base state and then the scenarios; profits lie in tiles of 32 scenarios,
 * [tile][leg][32], with nothing in what the last tile has too many. Stages are timed, so that they can be told from each other.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TILE 32
#define BLOCK 8              /* accounts whose groups are added up together, tile by tile: the fastest of 8, 32 and 128 */
#define SECONDS_OF_A_YEAR (365.0 * 86400.0)
#define LARGEST_TOTAL 64.0   /* sigma sqrt(T) above which every option is worth its upper bound */
#define HALVINGS 64

typedef struct {
    int64_t states, factors, assets, instruments, legs, groups, classes, chains, options, perpetuals, bond_curves;
    double now;                             /* seconds since 1970 */
    const double *level, *shock, *mark;     /* [F]; [S][F]; [I], 0 for none: this is compiled without NaN */
    const int64_t *asset_factor;            /* [asset] -1 for the base currency */
    const int64_t *curve_first, *curve_node; const double *curve_years; /* nodes of each curve: factors and tenors */
    const int64_t *chain_first, *chain_spot, *chain_carry, *chain_vol, *chain_zero; const double *chain_expiry; /* zero -1: in coins */
    const int64_t *option_row; const double *strike, *sign;
    const int64_t *perpetual_row, *perpetual_spot, *perpetual_inverse;
    const int64_t *bond_first, *bond_row, *flow_first, *flow_day_at; const double *flow_amount; /* flows of each bond: places among days */
    const int64_t *day_first, *day_curve; const double *day; /* distinct days of each curve's bonds, seconds since 1970 */
    const double *multiplier;               /* [I] */
    const int64_t *settlement;              /* [I] asset */
    const int64_t *asset_row;               /* [asset] */
    const int64_t *own_leg, *price_leg;     /* [I] -1 for none; the same where both are of one group */
    double *tiled, *exposure, *unit_value, *settlement_price, *notional; /* what comes of it: [tile][L][32], [L], [I], [I], [I] */
} Market;

typedef struct {
    int64_t accounts;
    const int64_t *first, *row; const double *quantity, *cost;
    const int64_t *leg_group, *group_class, *instrument_group, *basis_kind, *is_option, *is_asset;
    const double *residual;                 /* [I] residual haircut, below 0 for what is no collateral */
    const double *weight;                   /* [S] */
    const double *spread, *daily_volume, *mpor_days, *minimum_rate; /* [U] */
    double alpha, within_class, across_classes, initial_multiple;
    double spread_multiple, base_days, participation, perpetual_basis, dated_basis, short_option;
    const double *band_lines;               /* [4] */
    double *equity, *gross, *market_requirement, *maintenance, *initial; int64_t *band; /* what comes of it, for each account */
} House;

/* Processor time, which others on the machine do not add to. */
static double seconds(void)
{
    struct timespec at;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at);
    return at.tv_sec + 1e-9 * at.tv_nsec;
}

typedef struct { const double *low, *high; double low_level, high_level, share; } Between;

static Between between(const Market *m, int64_t curve, double years, const double *moves)
{
    const int64_t first = m->curve_first[curve], last = m->curve_first[curve + 1] - 1;
    int64_t low = first;
    while (low < last && m->curve_years[low + 1] <= years)
        low++;
    const int64_t high = low < last && years > m->curve_years[low] ? low + 1 : low;
    const double share = high > low ? (years - m->curve_years[low]) / (m->curve_years[high] - m->curve_years[low]) : 0.0;
    const int64_t a = m->curve_node[low], b = m->curve_node[high];
    return (Between){moves + a * m->states, moves + b * m->states, m->level[a], m->level[b], share};
}

static double normal(double d) { return 0.5 * (1.0 + erf(d * M_SQRT1_2)); }

/* Lay the profits of one instrument out, whose amount [M] is in units of what it settles in, at `price` [M] or at 1. */
static void lay(const Market *m, int64_t row, const double *restrict amount, double exposed, const double *restrict price)
{
    const int64_t scenarios = m->states - 1, own = m->own_leg[row], of_price = m->price_leg[row];
    const double base = amount[0], x = price ? price[0] : 1.0;
    for (int64_t t = 0; t * TILE < scenarios; t++) {
        const int64_t some = scenarios - t * TILE < TILE ? scenarios - t * TILE : TILE;
        const double *restrict a = amount + 1 + t * TILE, *restrict p = price ? price + 1 + t * TILE : NULL;
        double *restrict own_out = m->tiled + (t * m->legs + own) * TILE, *restrict price_out = m->tiled + (t * m->legs + of_price) * TILE;
        if (!price)
            for (int64_t s = 0; s < some; s++)
                own_out[s] = a[s] - base;
        else if (own < 0)
            for (int64_t s = 0; s < some; s++)
                price_out[s] = base * (p[s] - x);
        else if (own == of_price)
            for (int64_t s = 0; s < some; s++)
                own_out[s] = (a[s] - base) * p[s] + base * (p[s] - x);
        else
            for (int64_t s = 0; s < some; s++) {
                own_out[s] = (a[s] - base) * p[s];
                price_out[s] = base * (p[s] - x);
            }
    }
    if (own >= 0)
        m->exposure[own] = exposed * x + (price && own == of_price ? base * x : 0.0);
    if (price && own != of_price)
        m->exposure[of_price] = base * x;
    m->unit_value[row] = base * x;
    m->settlement_price[row] = x;
}

/* What options of all chains share, and at which sigma sqrt(T) they are worth their marks: the marked ones all at once. */
static void revalue_options(const Market *m, const double *moves, double *const *price)
{
    const int64_t states = m->states, n = m->options;
    double *forward = malloc(m->chains * states * 8), *unit = malloc(m->chains * states * 8), *ratio = malloc(m->chains * states * 8);
    double *own = malloc(n * 8), *f = malloc(n * 8), *k = malloc(n * 8), *lf = malloc(n * 8), *target = malloc(n * 8), *low = malloc(n * 8);
    double *high = malloc(n * 8), *row = malloc(states * 8);
    for (int64_t c = 0; c < m->chains; c++) {
        const double years = (m->chain_expiry[c] - m->now) / SECONDS_OF_A_YEAR;
        const int64_t spot = m->chain_spot[c], zero = m->chain_zero[c];
        const Between carry = between(m, m->chain_carry[c], years, moves), vol = between(m, m->chain_vol[c], years, moves);
        const double grown = m->level[spot] * exp((carry.low_level * (1 - carry.share) + carry.high_level * carry.share) * years);
        const double total = (vol.low_level * (1 - vol.share) + vol.high_level * vol.share) * sqrt(years);
        double *restrict fw = forward + c * states, *restrict un = unit + c * states, *restrict ra = ratio + c * states;
        const double *restrict spots = moves + spot * states;
        for (int64_t s = 0; s < states; s++) {
            fw[s] = grown * exp(spots[s] + (carry.low[s] * (1 - carry.share) + carry.high[s] * carry.share) * years);
            ra[s] = exp(vol.low[s] * (1 - vol.share) + vol.high[s] * vol.share);
        }
        if (zero < 0)
            for (int64_t s = 0; s < states; s++)
                un[s] = 1.0 / fw[s];
        else {
            const Between rate = between(m, zero, years, moves);
            const double level = rate.low_level * (1 - rate.share) + rate.high_level * rate.share;
            for (int64_t s = 0; s < states; s++)
                un[s] = exp(-years * (level + rate.low[s] * (1 - rate.share) + rate.high[s] * rate.share));
        }
        for (int64_t i = m->chain_first[c]; i < m->chain_first[c + 1]; i++) {
            own[i] = total, f[i] = fw[0], k[i] = m->strike[i], target[i] = m->mark[m->option_row[i]] / un[0];
            lf[i] = log(f[i] / k[i]), low[i] = 0.0, high[i] = LARGEST_TOTAL;
        }
    }
    for (int halving = 0; halving < HALVINGS; halving++)
        for (int64_t i = 0; i < n; i++) {
            const double w = fmax(0.5 * (low[i] + high[i]), 1e-100), d1 = lf[i] / w + 0.5 * w, s = m->sign[i];
            const double worth = s * (f[i] * normal(s * d1) - k[i] * normal(s * (d1 - w)));
            low[i] = worth < target[i] ? w : low[i];
            high[i] = worth < target[i] ? high[i] : w;
        }
    for (int64_t c = 0; c < m->chains; c++) {
        const double *restrict fw = forward + c * states, *restrict un = unit + c * states, *restrict ra = ratio + c * states;
        double log_forward[states];
        for (int64_t s = 0; s < states; s++)
            log_forward[s] = log(fw[s]);
        for (int64_t i = m->chain_first[c]; i < m->chain_first[c + 1]; i++) {
            const int64_t at = m->option_row[i];
            const double mark = m->mark[at], s = m->sign[i], multiplier = m->multiplier[at], log_k = log(k[i]), strike = k[i];
            if (mark > 0) {
                const int possible = target[i] > fmax(s * (f[i] - strike), 0.0) && target[i] < (s > 0 ? f[i] : strike);
                own[i] = possible ? 0.5 * (low[i] + high[i]) : 0.0;
            }
            const double o = fmax(own[i], 1e-100);
            for (int64_t j = 0; j < states; j++) {
                const double w = o * ra[j], d1 = (log_forward[j] - log_k) / w + 0.5 * w;
                row[j] = s * (fw[j] * normal(s * d1) - strike * normal(s * (d1 - w))) * un[j];
            }
            const double unexplained = mark > 0 ? mark - row[0] : 0.0;
            for (int64_t j = 0; j < states; j++)
                row[j] = multiplier * fmax(0.0, row[j] + unexplained);
            const int in_coins = m->chain_zero[c] < 0;
            const double delta = s * normal(s * (lf[i] / o + 0.5 * o));
            const double exposed = in_coins ? multiplier * delta - row[0] : multiplier * delta * un[0] * fw[0];
            lay(m, at, row, exposed, price[m->settlement[at]]);
            m->notional[at] = multiplier * (in_coins ? m->settlement_price[at] : fw[0]);
        }
    }
    free(forward), free(unit), free(ratio), free(own), free(f), free(k), free(lf), free(target), free(low), free(high), free(row);
}

/* The spread at which payments discounted by `factor` are worth `target`: Newton on the logarithm of the price. */
static double spread_at(int64_t count, const double *restrict worth, const double *restrict years, double target)
{
    double spread = 0.0;
    for (int step = 0; step < 100; step++) {
        double price = 0.0, slope = 0.0;
        for (int64_t d = 0; d < count; d++) {
            const double value = worth[d] * exp(-spread * years[d]);
            price += value, slope += value * years[d];
        }
        const double gap = log(price / target);
        if (fabs(gap) <= 1e-14)
            break;
        spread += gap * price / slope;
    }
    return spread;
}

static void revalue_bonds(const Market *m, const double *moves, double *const *price)
{
    const int64_t states = m->states;
    for (int64_t g = 0; g < m->bond_curves; g++) {
        const int64_t days = m->day_first[g + 1] - m->day_first[g], bonds = m->bond_first[g + 1] - m->bond_first[g];
        const int64_t first_flow = m->flow_first[m->bond_first[g]], flows = m->flow_first[m->bond_first[g + 1]] - first_flow;
        double *years = malloc(days * 8), *level = malloc(days * 8), *factor = malloc(days * TILE * 8), *amount = malloc(flows * 8);
        double *value = malloc(bonds * states * 8), *worth = malloc(flows * 8), *flow_years = malloc(flows * 8);
        Between *at = malloc(days * sizeof(Between));
        for (int64_t d = 0; d < days; d++) {
            years[d] = (m->day[m->day_first[g] + d] - m->now) / SECONDS_OF_A_YEAR;
            at[d] = between(m, m->day_curve[g], years[d], moves);
            level[d] = at[d].low_level * (1 - at[d].share) + at[d].high_level * at[d].share;
        }
        for (int64_t e = 0; e < flows; e++) {
            flow_years[e] = years[m->flow_day_at[first_flow + e]];
            worth[e] = m->flow_amount[first_flow + e] * exp(-flow_years[e] * level[m->flow_day_at[first_flow + e]]);
        }
        for (int64_t b = 0; b < bonds; b++) {
            const int64_t bond = m->bond_first[g] + b, from = m->flow_first[bond] - first_flow, to = m->flow_first[bond + 1] - first_flow;
            const double mark = m->mark[m->bond_row[bond]], spread = mark > 0 ? spread_at(to - from, worth + from, flow_years + from, mark) : 0;
            for (int64_t e = from; e < to; e++)
                amount[e] = 0.01 * m->flow_amount[first_flow + e] * exp(-spread * flow_years[e]);
        }
        for (int64_t start = 0; start < states; start += TILE) {
            const int64_t some = states - start < TILE ? states - start : TILE;
            for (int64_t d = 0; d < days; d++) {
                const double *restrict low = at[d].low + start, *restrict high = at[d].high + start, u = at[d].share, t = -years[d], z = level[d];
                for (int64_t s = 0; s < some; s++)
                    factor[d * TILE + s] = exp(t * (z + low[s] * (1 - u) + high[s] * u));
            }
            for (int64_t b = 0; b < bonds; b++) {
                const int64_t bond = m->bond_first[g] + b;
                double sum[TILE] = {0};
                for (int64_t e = m->flow_first[bond]; e < m->flow_first[bond + 1]; e++) {
                    const double a = amount[e - first_flow], *restrict by = factor + m->flow_day_at[e] * TILE;
                    for (int s = 0; s < TILE; s++)
                        sum[s] += a * by[s];
                }
                memcpy(value + b * states + start, sum, some * 8);
            }
        }
        for (int64_t b = 0; b < bonds; b++) {
            const int64_t row = m->bond_row[m->bond_first[g] + b];
            lay(m, row, value + b * states, value[b * states], price[m->settlement[row]]);
            m->notional[row] = m->settlement_price[row];
        }
        free(years), free(level), free(factor), free(amount), free(value), free(worth), free(flow_years), free(at);
    }
}

/* Revalue all instruments; `took` says the seconds of factors and assets, options, bonds, and perpetuals. */
void tick_revalue(const Market *m, double *took)
{
    const int64_t states = m->states;
    double began = seconds();
    double *moves = malloc(m->factors * states * 8), *prices = malloc(m->assets * states * 8), *row = malloc(states * 8), *price[m->assets];
    for (int64_t f = 0; f < m->factors; f++) {
        moves[f * states] = 0.0;
        for (int64_t s = 1; s < states; s++)
            moves[f * states + s] = m->shock[(s - 1) * m->factors + f];
    }
    for (int64_t s = 0; s < states; s++)
        row[s] = 1.0;
    for (int64_t a = 0; a < m->assets; a++) {
        const int64_t f = m->asset_factor[a], at = m->asset_row[a];
        price[a] = f < 0 ? NULL : prices + a * states;
        for (int64_t s = 0; f >= 0 && s < states; s++)
            price[a][s] = m->level[f] * exp(moves[f * states + s]);
        if (f >= 0)
            lay(m, at, row, 1.0, price[a]);
        else
            m->unit_value[at] = m->settlement_price[at] = 1.0;
        m->notional[at] = m->unit_value[at];
    }
    took[0] = seconds() - began, began = seconds();
    revalue_options(m, moves, price);
    took[1] = seconds() - began, began = seconds();
    revalue_bonds(m, moves, price);
    took[2] = seconds() - began, began = seconds();
    for (int64_t i = 0; i < m->perpetuals; i++) {
        const int64_t at = m->perpetual_row[i], f = m->perpetual_spot[i];
        const double multiplier = m->multiplier[at], level = m->mark[at] > 0 ? m->mark[at] : m->level[f];
        for (int64_t s = 0; s < states; s++)
            row[s] = exp(moves[f * states + s]);
        if (m->perpetual_inverse[i])
            for (int64_t s = 0; s < states; s++)
                row[s] = -multiplier / (level * row[s]);
        else
            for (int64_t s = 0; s < states; s++)
                row[s] *= multiplier * level;
        lay(m, at, row, fabs(row[0]), price[m->settlement[at]]);
        m->notional[at] = fabs(row[0]) * m->settlement_price[at];
    }
    took[3] = seconds() - began;
    free(moves), free(prices), free(row);
}

/* How many scenarios hold the tail whichever they are: of the lightest. */
static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int64_t most_in_tail(int64_t scenarios, const double *weight, double alpha)
{
    double *sorted = malloc(scenarios * 8), sum = 0.0;
    int64_t count = 0;
    memcpy(sorted, weight, scenarios * 8);
    qsort(sorted, scenarios, 8, ascending);
    while (count < scenarios && sum < alpha)
        sum += sorted[count++];
    free(sorted);
    return count < scenarios ? count + 1 : scenarios;
}

static double selected(double *values, int64_t count, int64_t nth)
{
    int64_t low = 0, high = count - 1;
    while (low < high) {
        const double pivot = values[(low + high) / 2];
        int64_t i = low, j = high;
        while (i <= j) {
            while (values[i] < pivot)
                i++;
            while (values[j] > pivot)
                j--;
            if (i <= j) {
                const double kept = values[i];
                values[i++] = values[j], values[j--] = kept;
            }
        }
        if (nth <= j)
            high = j;
        else if (nth >= i)
            low = i;
        else
            break;
    }
    return values[nth];
}

/* The tail mean by selection: the m-th smallest of the minima of blocks bounds the tail, and what is not above it is sorted. */
static double tail_mean(const double *restrict x, int64_t scenarios, const double *restrict weight, double alpha, int64_t most)
{
    const int64_t size = scenarios / (6 * most) > 1 ? scenarios / (6 * most) : 1, blocks = scenarios / size;
    double minima[blocks], value[scenarios], by[scenarios];
    memcpy(minima, x, blocks * 8);
    for (int64_t k = 1; k < size; k++)
        for (int64_t b = 0; b < blocks; b++)
            minima[b] = x[k * blocks + b] < minima[b] ? x[k * blocks + b] : minima[b];
    const double bound = selected(minima, blocks, most - 1);
    int64_t count = 0;
    for (int64_t s = 0; s < scenarios; s++) {
        value[count] = x[s], by[count] = weight[s];
        count += x[s] <= bound;
    }
    for (int64_t i = 1; i < count; i++) {
        const double v = value[i], w = by[i];
        int64_t j = i;
        for (; j > 0 && value[j - 1] > v; j--)
            value[j] = value[j - 1], by[j] = by[j - 1];
        value[j] = v, by[j] = w;
    }
    double left = alpha, loss = 0.0;
    for (int64_t i = 0; i < count && left > 0; i++) {
        const double taken = by[i] < left ? by[i] : left;
        loss -= taken * value[i], left -= taken;
    }
    return loss > 0 ? loss / alpha : 0.0;
}

typedef struct { int64_t leg, other; double quantity, of_other; } Entry; /* `other`: a second leg of one holding in one group, or -1 */

typedef struct {
    int64_t groups, *group, *first;
    double *net, *carry, *notional, gross, equity;
    Entry *entry;
} Held;

/* What of one account is in the scenarios, by group, with what charges rest on; and its equity. `rows` is room for a vector. */
static void hold(const Market *m, const House *h, int64_t account, Held *to, const double *held, const double *owed, double *rows,
                 int64_t most)
{
    const int64_t groups = m->groups, scenarios = m->states - 1;
    double net[groups], by_kind[groups][3], notional[groups], cost[m->assets], collateral = 0, other = 0, alone = 0;
    int64_t count[groups + 1], entries = 0;
    memset(net, 0, sizeof net), memset(by_kind, 0, sizeof by_kind);
    memset(notional, 0, sizeof notional), memset(cost, 0, sizeof cost), memset(count, 0, sizeof count);
    Entry found[2 * (h->first[account + 1] - h->first[account]) + m->assets];
    for (int64_t e = h->first[account]; e < h->first[account + 1]; e++) {
        const int64_t row = h->row[e], asset = m->settlement[row], paid = m->price_leg[m->asset_row[asset]];
        double quantity = h->quantity[e];
        const double value = quantity * m->unit_value[row], due = h->cost[e];
        if (h->is_asset[row] && quantity >= 0) {
            const double residual = h->residual[row];
            collateral += residual >= 0 ? value - residual * value : 0.0;
            quantity = residual >= 0 ? quantity : 0.0;
        } else
            other += value - due * m->settlement_price[row];
        cost[asset] += due;
        const int64_t legs[3] = {m->own_leg[row], m->price_leg[row] == m->own_leg[row] ? -1 : m->price_leg[row], due != 0 ? paid : -1};
        const double units[3] = {quantity, quantity, -due};
        for (int l = 0; l < 3; l++) {
            if (legs[l] < 0 || units[l] == 0)
                continue;
            const int64_t group = h->leg_group[legs[l]];
            int64_t with = -1; /* a cost in the group of a leg of the contract itself */
            for (int before = 0; before < l; before++)
                if (legs[before] >= 0 && units[before] != 0 && h->leg_group[legs[before]] == group)
                    with = before;
            if (with >= 0)
                continue; /* taken with the first of the two */
            double exposed = units[l] * m->exposure[legs[l]];
            int64_t second = -1;
            for (int after = l + 1; after < 3; after++)
                if (legs[after] >= 0 && units[after] != 0 && h->leg_group[legs[after]] == group)
                    second = after, exposed += units[after] * m->exposure[legs[after]];
            net[group] += exposed;
            by_kind[group][group == h->instrument_group[row] ? h->basis_kind[row] : 0] += exposed;
            if (second < 0)
                alone += units[l] > 0 ? units[l] * held[legs[l]] : -units[l] * owed[legs[l]];
            else {
                for (int64_t t = 0; t * TILE < scenarios; t++) {
                    const double *restrict a = m->tiled + (t * m->legs + legs[l]) * TILE, *restrict b = m->tiled + (t * m->legs + legs[second]) * TILE;
                    for (int s = 0; s < TILE; s++)
                        rows[t * TILE + s] = units[l] * a[s] + units[second] * b[s];
                }
                alone += tail_mean(rows, scenarios, h->weight, h->alpha, most);
            }
        }
        for (int l = 0; l < 2; l++)
            if (legs[l] >= 0 && quantity != 0)
                found[entries++] = (Entry){legs[l], -1, quantity, 0};
        if (h->is_option[row] && quantity < 0)
            notional[h->instrument_group[row]] -= quantity * m->notional[row];
    }
    for (int64_t a = 0; a < m->assets; a++)
        if (cost[a] != 0 && m->price_leg[m->asset_row[a]] >= 0)
            found[entries++] = (Entry){m->price_leg[m->asset_row[a]], -1, -cost[a], 0};
    for (int64_t e = 0; e < entries; e++)
        count[h->leg_group[found[e].leg] + 1]++;
    to->groups = 0;
    int64_t place[groups], at = 0;
    for (int64_t g = 0; g < groups; g++) {
        place[g] = at, at += count[g + 1];
        if (!count[g + 1])
            continue;
        const int64_t u = to->groups++;
        double longs = 0, shorts = 0;
        for (int kind = 0; kind < 3; kind++)
            longs += fmax(by_kind[g][kind], 0), shorts += fmax(-by_kind[g][kind], 0);
        const double dated = fmin(fabs(by_kind[g][2]), by_kind[g][2] > 0 ? shorts : longs);
        to->group[u] = g, to->first[u] = place[g], to->net[u] = net[g], to->notional[u] = notional[g];
        to->carry[u] = h->perpetual_basis * fmin(longs, shorts) + (h->dated_basis - h->perpetual_basis) * dated;
    }
    to->first[to->groups] = at;
    for (int64_t e = 0; e < entries; e++)
        to->entry[place[h->leg_group[found[e].leg]]++] = found[e];
    to->gross = alone, to->equity = collateral + other;
}

/* Add the groups of an account up, [U][S] of `own`, to classes and the account behind them; return how many classes there are. */
static int64_t add_up(const Market *m, const House *h, const Held *of, double *restrict own, int64_t width)
{
    int64_t classes = 0, at[m->classes];
    for (int64_t c = 0; c < m->classes; c++)
        at[c] = -1;
    for (int64_t u = 0; u < of->groups; u++)
        at[h->group_class[of->group[u]]] = 0;
    for (int64_t c = 0; c < m->classes; c++)
        if (at[c] == 0)
            at[c] = of->groups + classes++;
    memset(own + of->groups * width, 0, (classes + 1) * width * 8);
    for (int64_t u = 0; u < of->groups; u++) {
        double *to = own + at[h->group_class[of->group[u]]] * width;
        for (int64_t s = 0; s < width; s++)
            to[s] += own[u * width + s];
    }
    for (int64_t c = 0; c < classes; c++)
        for (int64_t s = 0; s < width; s++)
            own[(of->groups + classes) * width + s] += own[(of->groups + c) * width + s];
    return classes;
}

static void charge(const House *h, int64_t account, const Held *of, const double *mean, int64_t classes)
{
    double sum = 0, by_class = 0, liquidity = 0, basis = 0, lacking = 0;
    for (int64_t u = 0; u < of->groups; u++)
        sum += mean[u];
    for (int64_t a = 0; a < classes; a++)
        by_class += mean[of->groups + a];
    const double market = (1 - h->within_class) * sum + (h->within_class - h->across_classes) * by_class
                          + h->across_classes * mean[of->groups + classes];
    for (int64_t u = 0; u < of->groups; u++) {
        const int64_t g = of->group[u];
        const double net = fabs(of->net[u]), days = net / (h->participation * h->daily_volume[g]);
        const double stretch = fmax(0.0, sqrt((h->base_days + days / 3) / h->mpor_days[g]) - 1);
        const double own = 0.5 * h->spread[g] * h->spread_multiple * net + stretch * mean[u];
        const double rest = (sum > 0 ? market * mean[u] / sum : 0.0) + own + of->carry[u];
        liquidity += own, basis += of->carry[u];
        lacking += fmax(0.0, fmax(h->short_option * of->notional[u], h->minimum_rate[g] * net) - rest);
    }
    const double maintenance = market + liquidity + basis + lacking, equity = of->equity;
    const double utilization = maintenance == 0 && equity >= 0 ? 0.0 : equity > 0 ? maintenance / equity : 1e300;
    h->equity[account] = equity, h->gross[account] = of->gross, h->market_requirement[account] = market;
    h->maintenance[account] = maintenance, h->initial[account] = h->initial_multiple * maintenance;
    h->band[account] = 0;
    for (int line = 0; line < 4; line++)
        h->band[account] += !(utilization < h->band_lines[line]);
}

/* Margin all accounts; `took` says the seconds of legs alone, what is held, products, classes and accounts, tail means, and charges. */
void tick_margins(const Market *m, const House *h, double *took)
{
    const int64_t scenarios = m->states - 1, tiles = (scenarios + TILE - 1) / TILE, width = tiles * TILE;
    const int64_t most = most_in_tail(scenarios, h->weight, h->alpha), rows_of = m->groups + m->classes + 1;
    double *held = malloc(m->legs * 8), *owed = malloc(m->legs * 8), *row = malloc(2 * width * 8);
    double *pnl = aligned_alloc(64, BLOCK * rows_of * width * 8), mean[BLOCK * rows_of];
    int64_t longest = 0;
    for (int64_t a = 0; a < h->accounts; a++)
        longest = h->first[a + 1] - h->first[a] > longest ? h->first[a + 1] - h->first[a] : longest;
    Held block[BLOCK];
    int64_t classes[BLOCK];
    for (int b = 0; b < BLOCK; b++) {
        block[b].group = malloc(m->groups * 8), block[b].first = malloc((m->groups + 1) * 8), block[b].net = malloc(m->groups * 8);
        block[b].carry = malloc(m->groups * 8), block[b].notional = malloc(m->groups * 8);
        block[b].entry = malloc((2 * longest + m->assets) * sizeof(Entry));
    }
    memset(took, 0, 6 * sizeof(double));
    double began = seconds();
    for (int64_t leg = 0; leg < m->legs; leg++) {
        for (int64_t t = 0; t < tiles; t++)
            for (int s = 0; s < TILE; s++) {
                row[t * TILE + s] = m->tiled[(t * m->legs + leg) * TILE + s];
                row[width + t * TILE + s] = -row[t * TILE + s];
            }
        held[leg] = tail_mean(row, scenarios, h->weight, h->alpha, most);
        owed[leg] = tail_mean(row + width, scenarios, h->weight, h->alpha, most);
    }
    took[0] = seconds() - began;
    for (int64_t start = 0; start < h->accounts; start += BLOCK) {
        const int64_t some = h->accounts - start < BLOCK ? h->accounts - start : BLOCK;
        began = seconds();
        for (int64_t b = 0; b < some; b++)
            hold(m, h, start + b, block + b, held, owed, row, most);
        took[1] += seconds() - began, began = seconds();
        for (int64_t t = 0; t < tiles; t++) {
            const double *restrict p = m->tiled + t * m->legs * TILE;
            for (int64_t b = 0; b < some; b++)
                for (int64_t u = 0; u < block[b].groups; u++) {
                    double sum[TILE] = {0};
                    for (int64_t e = block[b].first[u]; e < block[b].first[u + 1]; e++) {
                        const double q = block[b].entry[e].quantity, *restrict by = p + block[b].entry[e].leg * TILE;
                        __builtin_prefetch(p + block[b].entry[e + 6 < block[b].first[block[b].groups] ? e + 6 : e].leg * TILE);
                        for (int s = 0; s < TILE; s++)
                            sum[s] += q * by[s];
                    }
                    memcpy(pnl + (b * rows_of + u) * width + t * TILE, sum, sizeof sum);
                }
        }
        took[2] += seconds() - began, began = seconds();
        for (int64_t b = 0; b < some; b++)
            classes[b] = add_up(m, h, block + b, pnl + b * rows_of * width, width);
        took[3] += seconds() - began, began = seconds();
        for (int64_t b = 0; b < some; b++)
            for (int64_t r = 0; r < block[b].groups + classes[b] + 1; r++)
                mean[b * rows_of + r] = tail_mean(pnl + (b * rows_of + r) * width, scenarios, h->weight, h->alpha, most);
        took[4] += seconds() - began, began = seconds();
        for (int64_t b = 0; b < some; b++)
            charge(h, start + b, block + b, mean + b * rows_of, classes[b]);
        took[5] += seconds() - began;
    }
    for (int b = 0; b < BLOCK; b++) {
        free(block[b].group), free(block[b].first), free(block[b].net), free(block[b].carry), free(block[b].notional);
        free(block[b].entry);
    }
    free(held), free(owed), free(row), free(pnl);
}
