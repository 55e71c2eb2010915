"""Files and buffers as memory: mapped, held, anonymous."""
