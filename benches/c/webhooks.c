/* How many webhooks are verified in a second: `webhooks FILE` prints JSON lines. */
#define _POSIX_C_SOURCE 200809L
#include <cjson/cJSON.h>
#include <hoopauth.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define N HOOPAUTH_NUL_TERMINATED
#define TURNS 5
#define PASSES 10
#define MOST 1000

static void check(hoopauth_status_t status, hoopauth_error_t* err) {
    if (status == HOOPAUTH_OK) return;
    fprintf(stderr, "%s: %s\n", hoopauth_status_name(status), hoopauth_error_message(err, NULL));
    exit(1);
}

static cJSON* read_json(const char* path) {
    FILE* file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END)) exit(2);
    size_t size = (size_t)ftell(file);
    rewind(file);
    char* text = malloc(size + 1);
    if (!text || fread(text, 1, size, file) != size) exit(2);
    text[size] = 0;
    fclose(file);
    cJSON* json = cJSON_Parse(text);
    free(text);
    return json ? json : (exit(2), NULL);
}

static const char* text_of(const cJSON* object, const char* name) {
    return cJSON_GetStringValue(cJSON_GetObjectItem(object, name));
}

static double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int by_size(const void* a, const void* b) {
    double x = *(const double*)a, y = *(const double*)b;
    return (x > y) - (x < y);
}

struct webhook {
    const char* body;
    size_t body_len;
    hoopauth_header_t header;
};

static void verify(const hoopauth_webhook_verifier_t* verifier, const struct webhook* webhook) {
    hoopauth_error_t* err = NULL;
    hoopauth_text_t* label;
    check(hoopauth_webhook_verifier_verify_signature(verifier, &webhook->header, 1,
                                                     (const uint8_t*)webhook->body,
                                                     webhook->body_len, &label, &err),
          err);
    hoopauth_text_free(label);
}

/* Freed without being confirmed, and so given back: the next round may have it again. */
static void full(const hoopauth_webhook_verifier_t* verifier, const struct webhook* webhook) {
    hoopauth_error_t* err = NULL;
    hoopauth_webhook_delivery_t* delivery;
    check(hoopauth_webhook_verifier_verify(verifier, &webhook->header, 1,
                                           (const uint8_t*)webhook->body, webhook->body_len, NULL,
                                           &delivery, &err),
          err);
    hoopauth_webhook_delivery_free(delivery);
}

static void measure(const char* scheme, const char* stage,
                    void (*one)(const hoopauth_webhook_verifier_t*, const struct webhook*),
                    const hoopauth_webhook_verifier_t* verifier, const struct webhook* webhooks,
                    int count) {
    double rates[TURNS];
    for (int turn = 0; turn < TURNS; turn++) {
        double start = now_s();
        for (int pass = 0; pass < PASSES; pass++) {
            for (int i = 0; i < count; i++) one(verifier, &webhooks[i]);
        }
        rates[turn] = PASSES * count / (now_s() - start);
    }
    qsort(rates, TURNS, sizeof *rates, by_size);
    printf(
        "{\"bench\": \"webhook_verify\", \"via\": \"c\", \"n\": 2048, \"value\": %.1f, \"unit\": "
        "\"1/s\", \"scheme\": \"%s\", "
        "\"stage\": \"%s\"}\n",
        rates[TURNS / 2], scheme, stage);
}

int main(int count, char** arguments) {
    if (count != 2) return 2;
    cJSON* material = read_json(arguments[1]);
    cJSON *bodies = cJSON_GetObjectItem(material, "bodies"),
          *schemes = cJSON_GetObjectItem(material, "schemes"), *scheme;
    hoopauth_error_t* err = NULL;
    hoopauth_webhook_config_t* config;
    hoopauth_webhook_verifier_t* verifier;
    check(hoopauth_webhook_config_new(&config, &err), err);
    check(hoopauth_webhook_config_set(config, "any_app", N, "true", N, &err), err);
    check(hoopauth_webhook_config_set(config, "platform_key", N, "false", N, &err), err);
    cJSON_ArrayForEach(scheme, schemes) {
        const char* name = text_of(scheme, "scheme");
        check(hoopauth_webhook_config_add_key(config, name, N, name, N, text_of(scheme, "key"), N,
                                              0, 0, &err),
              err);
    }
    check(hoopauth_webhook_verifier_new(NULL, config, &verifier, &err), err);
    hoopauth_webhook_config_free(config);
    cJSON_ArrayForEach(scheme, schemes) {
        static struct webhook webhooks[MOST];
        const char* header = text_of(scheme, "header");
        cJSON *signatures = cJSON_GetObjectItem(scheme, "signatures"), *signature;
        int number = 0;
        cJSON_ArrayForEach(signature, signatures) {
            if (number == MOST) return 2;
            struct webhook* webhook = &webhooks[number];
            webhook->body = cJSON_GetStringValue(cJSON_GetArrayItem(bodies, number++));
            webhook->body_len = strlen(webhook->body);
            const char* value = cJSON_GetStringValue(signature);
            webhook->header = (hoopauth_header_t){header, strlen(header), value, strlen(value)};
        }
        measure(text_of(scheme, "scheme"), "verify", verify, verifier, webhooks, number);
        measure(text_of(scheme, "scheme"), "full", full, verifier, webhooks, number);
    }
    hoopauth_webhook_verifier_free(verifier);
    cJSON_Delete(material);
    return 0;
}
