"""One chip programmed once more, so that it does what the nominal one does."""
