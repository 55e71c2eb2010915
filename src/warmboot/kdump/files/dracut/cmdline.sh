#!/bin/sh
# There is no root file system to wait for, whatever root= the crashed kernel had.
# shellcheck disable=SC2034 # dracut's variables
root=warmboot-kdump rootok=1
