"""A rehearsal: a kernel loaded, handed over to and booted on a machine that exists only here."""
