"""Work that one worker sends to another: whom it asks, when it asks again, and what came of it."""
