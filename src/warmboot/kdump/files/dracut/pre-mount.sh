#!/bin/sh
# Devices and the network are there.
/usr/lib/warmboot/capture
