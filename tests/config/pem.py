"""A certificate and its key, made for these tests and used nowhere else.

openssl ecparam -name prime256v1 -genkey -noout -out key.pem
openssl req -x509 -new -key key.pem -subj /CN=localhost -days 36500 -out cert.pem
openssl ec -in key.pem -aes128 -passout pass:abcd -out encrypted.pem
"""

from typing import Final

KEY: Final = """\
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIM3mpONzlu3IaCqfJbZgqA1m2/S+SLj8AdfPOCYBIv7DoAoGCCqGSM49
AwEHoUQDQgAEyfem4c6F0ZS+U078PFj62+3Cj1dEr0/tZAZDbcm8Q81CLYLx2MBW
Q3vwTjcWA5HEG4Qg6VGdkMhXfZ7cG5TpAA==
-----END EC PRIVATE KEY-----
"""

CERTIFICATE: Final = """\
-----BEGIN CERTIFICATE-----
MIIBfzCCASWgAwIBAgIUAkFoZyxwADpKheMFgGIG9pMwqmwwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMjAyMDYwOVoYDzIxMjYxMDI5
MDIwNjA5WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAATJ96bhzoXRlL5TTvw8WPrb7cKPV0SvT+1kBkNtybxDzUItgvHYwFZD
e/BONxYDkcQbhCDpUZ2QyFd9ntwblOkAo1MwUTAdBgNVHQ4EFgQU6esgrRryUVzW
Ks9EV1GyTm060/4wHwYDVR0jBBgwFoAU6esgrRryUVzWKs9EV1GyTm060/4wDwYD
VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiBZSAI/tTPHoh0Sz7zrWdIS
h32CWxDf4yxQOto7X7O0wgIhAJ0YJ+TxQDbNGsz94vUWu6zdUYiHNEyJffLXJ0DR
swyj
-----END CERTIFICATE-----
"""

ENCRYPTED_KEY: Final = """\
-----BEGIN EC PRIVATE KEY-----
Proc-Type: 4,ENCRYPTED
DEK-Info: AES-128-CBC,D7DFC61F933882C6E7696D14B4A5D143

yh2uqnbDOVQdqLDKkCcF8VqRSNvMhid9R1QQW7iOPdk5yjJ2JmaziJCG8X6tz61W
kO5zWp9PJDSxUqMQdAyf2QKmEVCdMBgDXR4YlfHG4vAIvkLrTZ5OJW1jinmrbM2F
AJ/7szin4808og7D587x9X1r2ogktGulQWa2PTSO6u8=
-----END EC PRIVATE KEY-----
"""
