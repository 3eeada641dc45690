"""The terms of each kind of instrument, one file for each family. Import them from `crossmargin.domain.instrument`."""
