"""Routes: steps in time order, their reversal and wording, and how they are drafted."""
