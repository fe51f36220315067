"""The blind probe: how well a test is answered by who never sees a picture, and somebody else's tests read for it."""
