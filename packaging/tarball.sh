#!/usr/bin/env bash
# Packs the tree of packaging/tree.sh.
#   packaging/tarball.sh TREE VERSION FOLDER     FOLDER/nearfar-VERSION-linux-x86_64.tar.gz
set -euo pipefail

name=nearfar-$2-linux-x86_64
# The same tree gives the same bytes, whoever packs it and when.
tar --create --directory "$1" --transform "s,^\.,$name," --sort=name --owner=0 --group=0 --numeric-owner \
  --mode=u+rw,go+r-w,a+X --mtime="@$SOURCE_DATE_EPOCH" . | gzip --no-name -9 >"$3/$name.tar.gz"
