/* Measures requests through the library: `requests URL` plays a round for each line that it reads,
 * and prints the microseconds per request. */
#define _POSIX_C_SOURCE 200809L
#include <hoopauth.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define N HOOPAUTH_NUL_TERMINATED
#define ACCOUNT "location:hoopLocation00000001"
#define REQUESTS 100
#define BODY_BYTES 1024

static void check(hoopauth_status_t status, hoopauth_error_t* err) {
    if (status == HOOPAUTH_OK) return;
    fprintf(stderr, "%s: %s\n", hoopauth_status_name(status), hoopauth_error_message(err, NULL));
    exit(1);
}

static hoopauth_client_t* client_of(const char* url) {
    hoopauth_error_t* err = NULL;
    hoopauth_config_t* config;
    hoopauth_client_t* client;
    hoopauth_grant_t* grant;
    int32_t outcome;
    char token[900];
    memset(token, 'x', sizeof token);
    check(hoopauth_config_new(&config, &err), err);
    check(hoopauth_config_set(config, "client_id", N, "0123456789abcdef01234567-bench", N, &err),
          err);
    check(hoopauth_config_set(config, "client_secret", N, "00000000-0000-4000-8000-000000000000", N,
                              &err),
          err);
    check(hoopauth_config_set(config, "api_base", N, url, N, &err), err);
    check(hoopauth_config_set(config, "store", N, "memory:", N, &err), err);
    check(hoopauth_client_new(config, &client, &err), err);
    hoopauth_config_free(config);
    check(hoopauth_grant_new(ACCOUNT, N, token, sizeof token, &grant, &err), err);
    check(hoopauth_grant_set_expires_at_ms(grant, ((int64_t)time(NULL) + 86400) * 1000, &err), err);
    check(hoopauth_client_import(client, grant, false, NULL, &outcome, &err), err);
    hoopauth_grant_free(grant);
    return client;
}

static double now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void send_one(const hoopauth_client_t* client) {
    hoopauth_error_t* err = NULL;
    hoopauth_request_t* request;
    hoopauth_response_t* response;
    size_t len;
    check(hoopauth_client_request(client, "GET", N, "/contacts/hoopContact000000001", N, &request,
                                  &err),
          err);
    check(hoopauth_request_set_account(request, ACCOUNT, N, &err), err);
    check(hoopauth_request_send(request, NULL, &response, &err), err);
    hoopauth_response_body(response, &len);
    if (len != BODY_BYTES) exit(1);
    hoopauth_response_free(response);
    hoopauth_request_free(request);
}

int main(int count, char** arguments) {
    if (count != 2) return 2;
    hoopauth_client_t* client = client_of(arguments[1]);
    while (getchar() != EOF) {
        double start = now_us();
        for (int i = 0; i < REQUESTS; i++) send_one(client);
        printf("%.3f\n", (now_us() - start) / REQUESTS);
        fflush(stdout);
    }
    hoopauth_client_free(client);
    return 0;
}
