"""The outside world: video files, model servers, Label Studio, each with its scripted stand-in beside it."""
