/* What a request costs with libcurl alone, for information: `curl URL` prints a JSON line. */
#define _POSIX_C_SOURCE 200809L
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS 15
#define REQUESTS 300
#define BODY_BYTES 1024

static size_t take(char* bytes, size_t size, size_t count, void* received) {
    (void)bytes;
    *(size_t*)received += size * count;
    return size * count;
}

static double now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int by_size(const void* a, const void* b) {
    double x = *(const double*)a, y = *(const double*)b;
    return (x > y) - (x < y);
}

int main(int count, char** arguments) {
    if (count != 2 || curl_global_init(CURL_GLOBAL_DEFAULT)) return 2;
    CURL* curl = curl_easy_init();
    char url[512], bearer[1024] = "Authorization: Bearer ";
    snprintf(url, sizeof url, "%s/contacts/hoopContact000000001", arguments[1]);
    memset(bearer + strlen(bearer), 'x', 900);
    struct curl_slist* headers =
        curl_slist_append(curl_slist_append(NULL, bearer), "Version: 2021-07-28");
    size_t received;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &received);
    double rounds[ROUNDS];
    /* The first round opens the connection. */
    for (int round = -1; round < ROUNDS; round++) {
        double start = now_us();
        for (int i = 0; i < REQUESTS; i++) {
            received = 0;
            if (curl_easy_perform(curl) != CURLE_OK || received != BODY_BYTES) return 1;
        }
        if (round >= 0) rounds[round] = (now_us() - start) / REQUESTS;
    }
    qsort(rounds, ROUNDS, sizeof *rounds, by_size);
    printf(
        "{\"bench\": \"request_bare\", \"via\": \"libcurl\", \"n\": 1, \"value\": %.3f, \"unit\": "
        "\"us\"}\n",
        rounds[ROUNDS / 2]);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    return 0;
}
