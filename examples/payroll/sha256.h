/* SHA-256 and HMAC-SHA256 (FIPS 180-4, RFC 2104): small enough to read. */
#ifndef SHA256_H
#define SHA256_H
#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint32_t state[8];
    uint64_t size;
    uint8_t block[64];
} sha256;

void sha256_start(sha256 *s);
void sha256_add(sha256 *s, const void *data, size_t size);
void sha256_end(sha256 *s, uint8_t digest[32]);

typedef struct {
    sha256 inner;
    uint8_t outer_key[64];
} hmac256;

void hmac256_start(hmac256 *h, const uint8_t *key, size_t size);
void hmac256_add(hmac256 *h, const void *data, size_t size);
void hmac256_end(hmac256 *h, uint8_t tag[32]);
#endif
