"""The Label Studio server, embedded or a lab's own, and its client."""
