"""Methods x datasets x seeds in one table and on one page, every cell a run folder."""
