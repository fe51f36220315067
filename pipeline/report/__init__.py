"""Showing a workspace or a release: the report page, the image of a clip, status lines."""
