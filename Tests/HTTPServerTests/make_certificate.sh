#!/bin/sh
# Makes the certificate of TLSTests: self-signed, for localhost, of use for a hundred years. Run it in this folder.
set -eu
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500 -subj /CN=localhost \
  -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout Fixtures/key.pem -out Fixtures/certificate.pem
