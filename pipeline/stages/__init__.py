"""What is done, one file a stage: its Settings, `run(rows, settings, place)`, and its helpers below."""
