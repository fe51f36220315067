"""What there is to look at: a clip's sheet, and the report page of a workspace or a release."""
