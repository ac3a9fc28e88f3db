"""The page's kit: blocks, drawing, units, template, and the sections that all systems have."""
