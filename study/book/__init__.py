"""The book: chapters, pages, site, and the figures that its chapters share."""
