"""One module per panel: LabState in, Lines out. No module here imports textual or knows who draws."""
