/*
 * What headers cost in C. Modes: speed ACCOUNTS      prints one JSON line for headers by name, one
 * by handle name|handle call|bare   loops, for counting instructions cold STORE [KEY]    makes a
 * client, prints one header; of a grant that is there, if the store has a key
 */
#define _POSIX_C_SOURCE 200809L
#include <hoopauth.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define N HOOPAUTH_NUL_TERMINATED
#define NAME_BYTES 29
#define TOKEN_BYTES 900
#define ROUNDS 7
#define CALLS 1000000

/* The same accounts in the same order as the Rust side: SplitMix64. */
static uint64_t next(uint64_t* state) {
    uint64_t x = *state += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static void alphanumeric(uint64_t seed, char* out, size_t count) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    for (size_t i = 0; i < count; i++) out[i] = letters[(next(&seed) >> 32) % 62];
}

static void account_name(uint64_t index, char* out) {
    memcpy(out, "location:", 9);
    alphanumeric(index, out + 9, NAME_BYTES - 9);
}

static void check(hoopauth_status_t status, hoopauth_error_t* err) {
    if (status == HOOPAUTH_OK) return;
    fprintf(stderr, "%s: %s\n", hoopauth_status_name(status), hoopauth_error_message(err, NULL));
    exit(1);
}

/* A store that takes whatever is saved and keeps none of it, as on the Rust side. */
static hoopauth_status_t load(void* user_data, const hoopauth_row_key_t* key, hoopauth_row_t* row,
                              hoopauth_failure_t* failure) {
    (void)user_data, (void)key, (void)row, (void)failure;
    return HOOPAUTH_OK;
}

static hoopauth_status_t save(void* user_data, const hoopauth_row_key_t* key, uint64_t expected,
                              const hoopauth_new_row_t* row, bool* saved,
                              hoopauth_failure_t* failure) {
    (void)user_data, (void)key, (void)expected, (void)row, (void)failure;
    *saved = true;
    return HOOPAUTH_OK;
}

static hoopauth_status_t list(void* user_data, const char* app, size_t app_len,
                              hoopauth_row_list_t* rows, hoopauth_failure_t* failure) {
    (void)user_data, (void)app, (void)app_len, (void)rows, (void)failure;
    return HOOPAUTH_OK;
}

static hoopauth_client_t* client_over(size_t accounts) {
    hoopauth_error_t* err = NULL;
    hoopauth_config_t* config;
    hoopauth_client_t* client;
    check(hoopauth_config_new(&config, &err), err);
    check(hoopauth_config_set(config, "client_id", N, "0123456789abcdef01234567-bench", N, &err),
          err);
    check(hoopauth_config_set(config, "client_secret", N, "00000000-0000-4000-8000-000000000000", N,
                              &err),
          err);
    hoopauth_store_callbacks_t store;
    memset(&store, 0, sizeof store);
    store.struct_size = sizeof store;
    store.load = load, store.save = save, store.list = list;
    check(hoopauth_config_set_store(config, &store, &err), err);
    check(hoopauth_client_new(config, &client, &err), err);
    hoopauth_config_free(config);
    for (size_t i = 0; i < accounts; i++) {
        char name[NAME_BYTES], token[TOKEN_BYTES];
        account_name(i, name);
        alphanumeric(~(uint64_t)i, token, TOKEN_BYTES);
        hoopauth_grant_t* grant;
        check(hoopauth_grant_new(name, NAME_BYTES, token, TOKEN_BYTES, &grant, &err), err);
        check(hoopauth_grant_set_expires_at_ms(grant, ((int64_t)time(NULL) + 86400) * 1000, &err),
              err);
        check(hoopauth_client_import(client, grant, false, NULL, NULL, &err), err);
        hoopauth_grant_free(grant);
    }
    return client;
}

static hoopauth_account_t** handles_of(hoopauth_client_t* client, size_t accounts) {
    hoopauth_error_t* err = NULL;
    hoopauth_account_t** handles = malloc(accounts * sizeof *handles);
    for (size_t i = 0; i < accounts; i++) {
        char name[NAME_BYTES];
        account_name(i, name);
        check(hoopauth_client_account(client, name, NAME_BYTES, &handles[i], &err), err);
    }
    return handles;
}

/* Volatile, so that no call is thought away. */
static void* volatile kept;

static void by_name(const hoopauth_client_t* client, const char* names, size_t from, size_t to) {
    hoopauth_error_t* err = NULL;
    for (size_t i = from; i < to; i++) {
        hoopauth_headers_t* headers;
        check(hoopauth_client_headers_by_name(client, names + i * NAME_BYTES, NAME_BYTES, "GET", 3,
                                              NULL, &headers, &err),
              err);
        kept = headers;
        hoopauth_headers_free(headers);
    }
}

static void by_handle(const hoopauth_client_t* client, hoopauth_account_t* const* handles,
                      const uint32_t* order, size_t calls) {
    hoopauth_error_t* err = NULL;
    for (size_t i = 0; i < calls; i++) {
        hoopauth_headers_t* headers;
        check(hoopauth_client_headers(client, handles[order[i]], "GET", 3, NULL, &headers, &err),
              err);
        kept = headers;
        hoopauth_headers_free(headers);
    }
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static int compare(const void* a, const void* b) {
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double median(double* values) {
    qsort(values, ROUNDS, sizeof *values, compare);
    return values[ROUNDS / 2];
}

static uint32_t* order_of(size_t accounts, size_t calls) {
    uint64_t seed = 0x5eed;
    uint32_t* order = malloc(calls * sizeof *order);
    for (size_t i = 0; i < calls; i++) order[i] = (uint32_t)(next(&seed) % accounts);
    return order;
}

static char* names_in(const uint32_t* order, size_t calls) {
    char* names = malloc(calls * NAME_BYTES);
    for (size_t i = 0; i < calls; i++) account_name(order[i], names + i * NAME_BYTES);
    return names;
}

static void speed(size_t accounts) {
    hoopauth_client_t* client = client_over(accounts);
    hoopauth_account_t** handles = accounts <= 1000 ? handles_of(client, accounts) : NULL;
    uint32_t* order = order_of(accounts, CALLS);
    char* names = names_in(order, CALLS);
    double name_times[ROUNDS], handle_times[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        double start = now();
        by_name(client, names, 0, CALLS);
        name_times[round] = (now() - start) / CALLS;
        if (handles == NULL) continue;
        start = now();
        by_handle(client, handles, order, CALLS);
        handle_times[round] = (now() - start) / CALLS;
    }
    const char* line =
        "{\"bench\":\"%s\",\"via\":\"c\",\"n\":%zu,\"value\":%.3f,\"unit\":\"ns\"}\n";
    printf(line, "headers", accounts, median(name_times));
    if (handles != NULL) printf(line, "headers_handle", accounts, median(handle_times));
}

static void loop(const char* how, const char* what) {
    size_t accounts = 1000, calls = 100000;
    hoopauth_client_t* client = client_over(accounts);
    hoopauth_account_t** handles = handles_of(client, accounts);
    uint32_t* order = order_of(accounts, calls);
    char* names = names_in(order, calls);
    if (strcmp(what, "call") != 0) {
        for (size_t i = 0; i < calls; i++)
            kept = strcmp(how, "name") == 0 ? (void*)(names + i * NAME_BYTES)
                                            : (void*)handles[order[i]];
    } else if (strcmp(how, "name") == 0) {
        by_name(client, names, 0, calls);
    } else {
        by_handle(client, handles, order, calls);
    }
}

static void cold(const char* store, const char* key) {
    hoopauth_error_t* err = NULL;
    hoopauth_config_t* config;
    hoopauth_client_t* client;
    hoopauth_headers_t* headers;
    check(hoopauth_config_new(&config, &err), err);
    check(hoopauth_config_set(config, "client_id", N, "0123456789abcdef01234567-bench", N, &err),
          err);
    check(hoopauth_config_set(config, "client_secret", N, "00000000-0000-4000-8000-000000000000", N,
                              &err),
          err);
    check(hoopauth_config_set(config, "store", N, store, N, &err), err);
    if (key != NULL) check(hoopauth_config_set(config, "store_key", N, key, N, &err), err);
    check(hoopauth_client_new(config, &client, &err), err);
    if (key == NULL) {
        hoopauth_grant_t* grant;
        check(hoopauth_grant_new("location:one", N, "token", N, &grant, &err), err);
        check(hoopauth_grant_set_expires_at_ms(grant, ((int64_t)time(NULL) + 86400) * 1000, &err),
              err);
        check(hoopauth_client_import(client, grant, false, NULL, NULL, &err), err);
    }
    check(
        hoopauth_client_headers_by_name(client, "location:one", N, "GET", N, NULL, &headers, &err),
        err);
    puts(hoopauth_headers_authorization(headers, NULL));
    hoopauth_headers_free(headers);
    hoopauth_client_free(client);
}

int main(int count, char** arguments) {
    if (count == 3 && strcmp(arguments[1], "speed") == 0)
        speed(strtoul(arguments[2], NULL, 10));
    else if (count > 2 && strcmp(arguments[1], "cold") == 0)
        cold(arguments[2], count > 3 ? arguments[3] : NULL);
    else if (count == 3)
        loop(arguments[1], arguments[2]);
    else
        return 2;
    return 0;
}
