"""A rehearsed handover: one real kernel preserves, the next one takes over, and what arrived is compared."""
