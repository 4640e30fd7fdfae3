"""An agreement as JSON, as Markdown, in the terminal and in a folder. Every one is a view of the same record."""
