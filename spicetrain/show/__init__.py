"""What an experiment is and what a run of it would do, before anything is done."""
