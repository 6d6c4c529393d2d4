/* Webhooks: verified, claimed, confirmed, given back; and what installations mean for grants. */
#include "http.h"

#include <pthread.h>
#include <time.h>

#define LOCATION "location:hoopLocation00000001"
#define COMPANY "company:hoopCompany000000001"
#define SECRET "a shared secret of some length"

typedef struct {
  char *body;
  char *signature;
  hoopauth_header_t headers[2];
} webhook_t;

/* The text of the JSON text that begins here, without its quotes; to be freed. */
static char *json_text(const char *at)
{
  char *text = malloc(strlen(at) + 1);
  size_t len = 0;
  for (at++; *at != '"'; at++) {
    if (*at == '\\') {
      at++;
      CHECK(*at == '"' || *at == '\\');
    }
    text[len++] = *at;
  }
  text[len] = '\0';
  return text;
}

/* What the emulator signs, with its Ed25519 key. */
static webhook_t signed_webhook(const char *event)
{
  webhook_t webhook;
  char json[600];
  snprintf(json, sizeof json, "{\"event\":%s,\"schemes\":[\"ed25519\"]}", event);
  char *made = control("POST", "webhooks/sign", json);
  const char *body = strstr(made, "\"body\":"), *name = strstr(made, "X-GHL-Signature\",");
  CHECK(body != NULL && name != NULL);
  webhook.body = json_text(body + strlen("\"body\":"));
  webhook.signature = json_text(name + strlen("X-GHL-Signature\","));
  hoopauth_header_t headers[2] = {{"Content-Type", NUL, "application/json", NUL},
                                  {"x-ghl-signature", NUL, webhook.signature, NUL}};
  memcpy(webhook.headers, headers, sizeof headers);
  free(made);
  return webhook;
}

static void webhook_free(webhook_t *webhook)
{
  free(webhook->body);
  free(webhook->signature);
}

/* A configuration with the emulator's Ed25519 key. */
static hoopauth_webhook_config_t *emulator_keys(void)
{
  hoopauth_webhook_config_t *config = NULL;
  char *keys = control("GET", "webhooks/keys", "");
  const char *scheme = strstr(keys, "\"scheme\":\"ed25519\"");
  CHECK(scheme != NULL);
  while (scheme > keys && *scheme != '{') {
    scheme--;
  }
  char *key = member(scheme, "key");
  OK(hoopauth_webhook_config_new(&config, &err));
  OK(hoopauth_webhook_config_add_key(config, "ed25519", NUL, "the emulator's", NUL, key, NUL, 0, 0,
                                     &err));
  free(key);
  free(keys);
  return config;
}

static hoopauth_webhook_verifier_t *verifier_of(const hoopauth_client_t *client,
                                                hoopauth_webhook_config_t *config)
{
  hoopauth_webhook_verifier_t *verifier = NULL;
  OK(hoopauth_webhook_verifier_new(client, config, &verifier, &err));
  CHECK(verifier != NULL);
  hoopauth_webhook_config_free(config);
  return verifier;
}

static hoopauth_status_t verify(const hoopauth_webhook_verifier_t *verifier,
                                const webhook_t *webhook, hoopauth_webhook_delivery_t **delivery,
                                hoopauth_error_t **err)
{
  return hoopauth_webhook_verifier_verify(verifier, webhook->headers, 2,
                                          (const uint8_t *)webhook->body, strlen(webhook->body),
                                          NULL, delivery, err);
}

static void is_text(const char *text, size_t len, const char *expected)
{
  CHECK(text != NULL && strcmp(text, expected) == 0 && len == strlen(expected));
}

static void what_a_webhook_says(const hoopauth_webhook_verifier_t *verifier)
{
  webhook_t webhook = signed_webhook("{\"type\":\"ContactCreate\",\"webhookId\":\"w-says\","
                                     "\"locationId\":\"hoopLocation00000001\",\"name\":\"Zoe\"}");
  hoopauth_webhook_delivery_t *delivery = NULL;
  OK(verify(verifier, &webhook, &delivery, &err));
  size_t len = 0;
  const char *text = hoopauth_webhook_delivery_type(delivery, &len);
  is_text(text, len, "ContactCreate");
  text = hoopauth_webhook_delivery_id(delivery, &len);
  is_text(text, len, "w-says");
  text = hoopauth_webhook_delivery_account(delivery, &len);
  is_text(text, len, LOCATION);
  text = hoopauth_webhook_delivery_app_id(delivery, &len);
  is_text(text, len, "65f0a1b2c3d4e5f607182930");
  text = hoopauth_webhook_delivery_key(delivery, &len);
  is_text(text, len, "the emulator's");
  text = hoopauth_webhook_delivery_body(delivery, &len);
  is_text(text, len, webhook.body);
  CHECK(text == hoopauth_webhook_delivery_body(delivery, NULL));
  int64_t timestamp = 0;
  CHECK(hoopauth_webhook_delivery_timestamp(delivery, &timestamp) &&
        timestamp > INT64_C(1600000000000));
  CHECK(hoopauth_webhook_delivery_timestamp(delivery, NULL));
  OK(hoopauth_webhook_delivery_confirm(delivery, NULL, &err));
  hoopauth_webhook_delivery_free(delivery);

  /* Any bit of it, and nothing of it. */
  hoopauth_text_t *label = NULL;
  size_t body_len = strlen(webhook.body);
  const uint8_t *body = (const uint8_t *)webhook.body;
  OK(hoopauth_webhook_verifier_verify_signature(verifier, webhook.headers, 2, body, body_len,
                                                &label, &err));
  text = hoopauth_text_data(label, &len);
  is_text(text, len, "the emulator's");
  hoopauth_text_free(label);
  FAILS(HOOPAUTH_SIGNATURE_INVALID,
        hoopauth_webhook_verifier_verify_signature(verifier, webhook.headers, 2, body, body_len - 1,
                                                   &label, &err));
  FAILS(HOOPAUTH_SIGNATURE_INVALID,
        hoopauth_webhook_verifier_verify(verifier, webhook.headers, 2, NULL, 0, NULL, &delivery,
                                         &err));
  FAILS(HOOPAUTH_SIGNATURE_MISSING,
        hoopauth_webhook_verifier_verify(verifier, webhook.headers, 1, body, body_len, NULL,
                                         &delivery, &err));
  FAILS(HOOPAUTH_SIGNATURE_MISSING,
        hoopauth_webhook_verifier_verify(verifier, NULL, 0, body, body_len, NULL, &delivery, &err));
  CHECK(delivery == NULL && label == NULL);
  FAILS(HOOPAUTH_INVALID_ARGUMENT,
        hoopauth_webhook_verifier_verify(verifier, webhook.headers, 100000, body, body_len, NULL,
                                         &delivery, &err));
  /* Values are bytes; names are names. */
  hoopauth_header_t odd[3] = {
      webhook.headers[0], webhook.headers[1], {"X-Owner", NUL, "Fran\xe7ois", NUL}};
  OK(hoopauth_webhook_verifier_verify_signature(verifier, odd, 3, body, body_len, &label, &err));
  hoopauth_text_free(label);
  odd[2].name = "\xff";
  FAILS(HOOPAUTH_INVALID_ARGUMENT,
        hoopauth_webhook_verifier_verify_signature(verifier, odd, 3, body, body_len, &label, &err));
  webhook_free(&webhook);
}

/* What every parser takes, whatever the platform cut in half. */
static void what_a_parser_takes(const hoopauth_webhook_verifier_t *verifier)
{
  webhook_t webhook =
      signed_webhook("{\"webhookId\":\"w-emoji\",\"type\":\"ContactCreate\",\"text\":\"cut\"}");
  hoopauth_webhook_delivery_t *delivery = NULL;
  size_t len = 0;
  OK(verify(verifier, &webhook, &delivery, &err));
  const char *text = hoopauth_webhook_delivery_json(delivery, &len);
  is_text(text, len, webhook.body);
  CHECK(text == hoopauth_webhook_delivery_json(delivery, NULL) &&
        hoopauth_webhook_delivery_json(NULL, NULL) == NULL);
  hoopauth_webhook_delivery_free(delivery);
  webhook_free(&webhook);

  /* Signed with the secret of RFC 8032, 7.1, test 1. */
  static const char body[] = "\xef\xbb\xbf{\"webhookId\":7,\"text\":\"cut \\ud83e\",\"n\":1e999}";
  hoopauth_header_t signature = {
      "X-GHL-Signature", NUL,
      "Lrhz3HoWky1dtFCy13mpomh2mUXFy0anoucYyETIOAVCP7tu4qQht3mVlMfs98cKzJbnSp3EZNtRTcSGQQ4hBg==",
      NUL};
  hoopauth_webhook_config_t *config = NULL;
  OK(hoopauth_webhook_config_new(&config, &err));
  OK(hoopauth_webhook_config_set(config, "any_app", NUL, "true", NUL, &err));
  OK(hoopauth_webhook_config_set(config, "without_timestamp", NUL, "true", NUL, &err));
  OK(hoopauth_webhook_config_add_key(config, "ed25519", NUL, "own", NUL,
                                     "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", NUL, 0, 0,
                                     &err));
  hoopauth_webhook_verifier_t *other = verifier_of(NULL, config);
  OK(hoopauth_webhook_verifier_verify(other, &signature, 1, (const uint8_t *)body, strlen(body),
                                      NULL, &delivery, &err));
  text = hoopauth_webhook_delivery_type(delivery, &len);
  is_text(text, len, "");
  text = hoopauth_webhook_delivery_json(delivery, &len);
  is_text(text, len, "{\"webhookId\":7,\"text\":\"cut \\ufffd\",\"n\":\"1e999\"}");
  text = hoopauth_webhook_delivery_body(delivery, &len);
  is_text(text, len, body);
  hoopauth_webhook_delivery_free(delivery);
  hoopauth_webhook_verifier_free(other);
}

/* Genuine, and not for this app. */
static void foreign(const hoopauth_client_t *client, const hoopauth_webhook_verifier_t *verifier)
{
  hoopauth_webhook_delivery_t *delivery = NULL;
  webhook_t named = signed_webhook(
      "{\"type\":\"ContactCreate\",\"webhookId\":\"w-named\",\"appId\":\"another\"}");
  webhook_t unnamed =
      signed_webhook("{\"type\":\"ContactCreate\",\"webhookId\":\"w-unnamed\",\"appId\":null,"
                     "\"companyId\":\"hoopCompany000000001\"}");
  FAILS(HOOPAUTH_WEBHOOK_FOREIGN, verify(verifier, &named, &delivery, &err));
  FAILS(HOOPAUTH_WEBHOOK_FOREIGN, verify(verifier, &unnamed, &delivery, &err));
  CHECK(HOOPAUTH_WEBHOOK_FOREIGN == 65 && strcmp(hoopauth_status_name(65), "WEBHOOK_FOREIGN") == 0);
  /* The company has a grant: what is about it is this app's. A context is obeyed where the store is
   * asked. */
  hoopauth_context_t *over = NULL;
  import(client, COMPANY, INT64_C(4000000000000));
  OK(hoopauth_context_new(60, &over, &err));
  OK(hoopauth_context_cancel(over, &err));
  FAILS(HOOPAUTH_CANCELLED, hoopauth_webhook_verifier_verify(
                                verifier, unnamed.headers, 2, (const uint8_t *)unnamed.body,
                                strlen(unnamed.body), over, &delivery, &err));
  OK(verify(verifier, &unnamed, &delivery, &err));
  CHECK(hoopauth_webhook_delivery_app_id(delivery, NULL) == NULL);
  hoopauth_webhook_delivery_free(delivery);
  bool removed = false;
  hoopauth_account_t *company = account_of(client, COMPANY);
  OK(hoopauth_client_remove(client, company, NULL, &removed, &err));
  CHECK(removed);
  hoopauth_account_free(company);
  hoopauth_context_free(over);
  webhook_free(&unnamed);
  webhook_free(&named);
}

static void handled_once(const hoopauth_webhook_verifier_t *verifier)
{
  webhook_t webhook = signed_webhook("{\"type\":\"ContactDelete\",\"webhookId\":\"w-once\"}");
  hoopauth_webhook_delivery_t *delivery = NULL, *second = (hoopauth_webhook_delivery_t *)1;
  OK(verify(verifier, &webhook, &delivery, &err));
  CHECK(hoopauth_webhook_delivery_account(delivery, NULL) == NULL);
  /* Meanwhile it is another's; given back, and freed without a word, it comes again. */
  FAILS(HOOPAUTH_LEASE_TIMEOUT, verify(verifier, &webhook, &second, &err));
  CHECK(second == NULL);
  OK(hoopauth_webhook_delivery_release(delivery, NULL, &err));
  FAILS(HOOPAUTH_INVALID_STATE, hoopauth_webhook_delivery_confirm(delivery, NULL, &err));
  hoopauth_webhook_delivery_free(delivery);
  OK(verify(verifier, &webhook, &delivery, &err));
  hoopauth_webhook_delivery_free(delivery);
  OK(verify(verifier, &webhook, &delivery, &err));
  OK(hoopauth_webhook_delivery_confirm(delivery, NULL, &err));
  OK(hoopauth_webhook_delivery_confirm(delivery, NULL, &err));
  FAILS(HOOPAUTH_INVALID_STATE, hoopauth_webhook_delivery_release(delivery, NULL, &err));
  hoopauth_webhook_delivery_free(delivery);
  FAILS(HOOPAUTH_WEBHOOK_REPLAYED, verify(verifier, &webhook, &second, &err));
  webhook_free(&webhook);
}

/* What is called off claims nothing and confirms nothing. */
static void called_off(const hoopauth_webhook_verifier_t *verifier)
{
  webhook_t webhook = signed_webhook("{\"type\":\"ContactUpdate\",\"webhookId\":\"w-called-off\"}");
  const uint8_t *body = (const uint8_t *)webhook.body;
  const size_t len = strlen(webhook.body);
  hoopauth_webhook_delivery_t *delivery = NULL, *second = NULL;
  hoopauth_context_t *over = NULL, *context = NULL;
  OK(hoopauth_context_new(60, &over, &err));
  OK(hoopauth_context_cancel(over, &err));
  OK(hoopauth_context_new(60, &context, &err));
  FAILS(HOOPAUTH_CANCELLED, hoopauth_webhook_verifier_verify(verifier, webhook.headers, 2, body,
                                                             len, over, &delivery, &err));
  CHECK(delivery == NULL);
  OK(hoopauth_webhook_verifier_verify(verifier, webhook.headers, 2, body, len, context, &delivery,
                                      &err));
  FAILS(HOOPAUTH_LEASE_TIMEOUT, hoopauth_webhook_verifier_verify(verifier, webhook.headers, 2, body,
                                                                 len, context, &second, &err));
  FAILS(HOOPAUTH_CANCELLED, hoopauth_webhook_delivery_release(delivery, over, &err));
  OK(hoopauth_webhook_delivery_release(delivery, context, &err));
  hoopauth_webhook_delivery_free(delivery);
  OK(hoopauth_webhook_verifier_verify(verifier, webhook.headers, 2, body, len, context, &delivery,
                                      &err));
  FAILS(HOOPAUTH_CANCELLED, hoopauth_webhook_delivery_confirm(delivery, over, &err));
  OK(hoopauth_webhook_delivery_confirm(delivery, context, &err));
  hoopauth_webhook_delivery_free(delivery);
  FAILS(HOOPAUTH_WEBHOOK_REPLAYED,
        hoopauth_webhook_verifier_verify(verifier, webhook.headers, 2, body, len, context, &second,
                                         &err));
  hoopauth_context_free(context);
  hoopauth_context_free(over);
  webhook_free(&webhook);
}

typedef struct {
  hoopauth_webhook_verifier_t *verifier;
  const webhook_t *webhook;
} race_t;

static void *try_once(void *user_data)
{
  race_t *race = user_data;
  hoopauth_webhook_delivery_t *delivery = NULL;
  hoopauth_status_t status = verify(race->verifier, race->webhook, &delivery, NULL);
  CHECK(status == HOOPAUTH_OK || status == HOOPAUTH_LEASE_TIMEOUT);
  hoopauth_webhook_verifier_free(race->verifier);
  return delivery;
}

enum { THREADS = 8 };

/* Many at once: exactly one has it. */
static void one_of_many(const hoopauth_webhook_verifier_t *verifier)
{
  webhook_t webhook = signed_webhook("{\"type\":\"ContactUpdate\",\"webhookId\":\"w-race\"}");
  race_t race[THREADS];
  pthread_t threads[THREADS];
  hoopauth_webhook_delivery_t *won = NULL;
  for (int i = 0; i < THREADS; i++) {
    race[i].verifier = hoopauth_webhook_verifier_ref(verifier);
    race[i].webhook = &webhook;
    CHECK(race[i].verifier == verifier);
    CHECK(pthread_create(&threads[i], NULL, try_once, &race[i]) == 0);
  }
  for (int i = 0; i < THREADS; i++) {
    void *delivery = NULL;
    pthread_join(threads[i], &delivery);
    CHECK(won == NULL || delivery == NULL);
    won = delivery ? delivery : won;
  }
  CHECK(won != NULL);
  OK(hoopauth_webhook_delivery_confirm(won, NULL, &err));
  hoopauth_webhook_delivery_free(won);
  webhook_free(&webhook);
}

static int32_t applied(const hoopauth_client_t *client, const hoopauth_webhook_verifier_t *verifier,
                       const char *event)
{
  webhook_t webhook = signed_webhook(event);
  hoopauth_webhook_delivery_t *delivery = NULL;
  hoopauth_context_t *context = NULL;
  int32_t first = 0, again = 0;
  OK(hoopauth_context_new(60, &context, &err));
  OK(verify(verifier, &webhook, &delivery, &err));
  OK(hoopauth_client_apply(client, delivery, NULL, &first, &err));
  OK(hoopauth_client_apply(client, delivery, context, &again, &err));
  CHECK(again != HOOPAUTH_APPLIED_MINTED && again != HOOPAUTH_APPLIED_REMOVED);
  OK(hoopauth_client_apply(client, delivery, NULL, NULL, &err));
  OK(hoopauth_webhook_delivery_confirm(delivery, NULL, &err));
  hoopauth_context_free(context);
  hoopauth_webhook_delivery_free(delivery);
  webhook_free(&webhook);
  return first;
}

/* The location is uninstalled so many seconds from now. */
static int32_t uninstalled(const hoopauth_client_t *client,
                           const hoopauth_webhook_verifier_t *verifier, int seconds)
{
  char event[300], when[40];
  time_t moment = time(NULL) + seconds;
  struct tm parts;
  CHECK(gmtime_r(&moment, &parts) != NULL &&
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &parts) > 0);
  snprintf(
      event, sizeof event,
      "{\"type\":\"UNINSTALL\",\"webhookId\":\"w-out%d\",\"locationId\":\"hoopLocation00000001\","
      "\"companyId\":\"hoopCompany000000001\",\"timestamp\":\"%s\"}",
      seconds, when);
  return applied(client, verifier, event);
}

static void installations(const hoopauth_client_t *client,
                          const hoopauth_webhook_verifier_t *verifier)
{
  static const char install[] =
      "{\"type\":\"INSTALL\",\"webhookId\":\"w-in\",\"locationId\":\"hoopLocation00000001\","
      "\"companyId\":\"hoopCompany000000001\"}";
  hoopauth_accounts_t *accounts = NULL;
  import(client, COMPANY, INT64_C(4000000000000));
  CHECK(applied(client, verifier, install) == HOOPAUTH_APPLIED_MINTED);
  CHECK(uninstalled(client, verifier, -3600) == HOOPAUTH_APPLIED_OUTDATED);
  OK(hoopauth_client_accounts(client, NULL, &accounts, &err));
  CHECK(hoopauth_accounts_count(accounts) == 2);
  hoopauth_accounts_free(accounts);
  CHECK(uninstalled(client, verifier, 60) == HOOPAUTH_APPLIED_REMOVED);
  OK(hoopauth_client_accounts(client, NULL, &accounts, &err));
  CHECK(hoopauth_accounts_count(accounts) == 1);
  hoopauth_accounts_free(accounts);
  CHECK(applied(client, verifier, "{\"type\":\"ContactCreate\",\"webhookId\":\"w-no\"}") ==
        HOOPAUTH_APPLIED_NOTHING);
  CHECK(strcmp(hoopauth_applied_name(HOOPAUTH_APPLIED_MINTED), "minted") == 0);
  CHECK(strcmp(hoopauth_applied_name(0), "unknown") == 0);
}

static void wrong_configurations(const hoopauth_client_t *client)
{
  hoopauth_webhook_config_t *config = NULL;
  hoopauth_webhook_verifier_t *verifier = (hoopauth_webhook_verifier_t *)1;
  OK(hoopauth_webhook_config_new(&config, &err));
  /* Without a client, somebody must say whose events these are. */
  FAILS(HOOPAUTH_CONFIG, hoopauth_webhook_verifier_new(NULL, config, &verifier, &err));
  CHECK(verifier == NULL);
  OK(hoopauth_webhook_config_set(config, "app_id!", 6, "65f0a1b2c3d4e5f607182930", NUL, &err));
  OK(hoopauth_webhook_verifier_new(NULL, config, &verifier, &err));
  hoopauth_webhook_verifier_free(verifier);
  OK(hoopauth_webhook_config_set(config, "max_age", NUL, "soon", NUL, &err));
  FAILS(HOOPAUTH_CONFIG, hoopauth_webhook_verifier_new(client, config, &verifier, &err));
  /* The last value wins. */
  OK(hoopauth_webhook_config_set(config, "max_age", NUL, "300", NUL, &err));
  OK(hoopauth_webhook_verifier_new(client, config, &verifier, &err));
  hoopauth_webhook_verifier_free(verifier);
  OK(hoopauth_webhook_config_set(config, "no_such_option", NUL, "1", NUL, &err));
  hoopauth_error_t *error = NULL;
  CHECK(hoopauth_webhook_verifier_new(client, config, &verifier, &error) == HOOPAUTH_CONFIG);
  CHECK(strstr(hoopauth_error_message(error, NULL), "no_such_option") != NULL);
  hoopauth_error_free(error);
  FAILS(HOOPAUTH_CONFIG,
        hoopauth_webhook_config_add_key(config, "md5", NUL, "a", NUL, "a secret of some length",
                                        NUL, 0, 0, &err));
  FAILS(HOOPAUTH_CONFIG, hoopauth_webhook_config_add_key(config, "hmac-sha256", NUL, "a", NUL,
                                                         "too short", NUL, 0, 0, &err));
  FAILS(HOOPAUTH_CONFIG, hoopauth_webhook_config_add_key(config, "ed25519", NUL, "a", NUL,
                                                         "no key at all", NUL, 0, 0, &err));
  hoopauth_webhook_config_free(config);
}

/* A key that does not count yet, one that does not count any more, and one that does. */
static void keys_count_for_a_time(void)
{
  static const char body[] = "{ \"type\": \"ContactCreate\",\n  \"webhookId\": \"w-1\", "
                             "\"locationId\": \"hoopLocation00000001\", \"name\": \"Zo\xc3\xab\" }";
  const int64_t far = INT64_C(4000000000000), long_ago = INT64_C(1000000000000);
  const int64_t times[][2] = {{far, 0}, {0, long_ago}, {long_ago, far}, {0, 0}};
  hoopauth_header_t signature = {
      "X-Hook-Signature", NUL,
      "sha256=7e1bd39ca8cf34a5b6d8b823583149ddb30d65527c7d2f62715f9f0513719a43", NUL};
  for (int i = 0; i < 4; i++) {
    hoopauth_webhook_config_t *config = NULL;
    hoopauth_text_t *label = NULL;
    OK(hoopauth_webhook_config_new(&config, &err));
    OK(hoopauth_webhook_config_set(config, "any_app", NUL, "true", NUL, &err));
    OK(hoopauth_webhook_config_add_key(config, "HMAC-SHA256", NUL, "own", NUL, SECRET, NUL,
                                       times[i][0], times[i][1], &err));
    hoopauth_webhook_verifier_t *verifier = verifier_of(NULL, config);
    hoopauth_status_t status = hoopauth_webhook_verifier_verify_signature(
        verifier, &signature, 1, (const uint8_t *)body, strlen(body), &label, NULL);
    CHECK(status == (i < 2 ? HOOPAUTH_SIGNATURE_INVALID : HOOPAUTH_OK));
    CHECK((label == NULL) == (i < 2));
    hoopauth_text_free(label);
    hoopauth_webhook_verifier_free(verifier);
  }
}

int main(void)
{
  hoopauth_client_t *client = client_of(app_config());
  hoopauth_webhook_verifier_t *verifier = verifier_of(client, emulator_keys());
  what_a_webhook_says(verifier);
  what_a_parser_takes(verifier);
  foreign(client, verifier);
  handled_once(verifier);
  called_off(verifier);
  one_of_many(verifier);
  installations(client, verifier);
  wrong_configurations(client);
  keys_count_for_a_time();

  /* A delivery and its verifier may outlive the client that they are of. */
  webhook_t webhook = signed_webhook("{\"type\":\"ContactCreate\",\"webhookId\":\"w-last\"}");
  hoopauth_webhook_delivery_t *delivery = NULL;
  OK(verify(verifier, &webhook, &delivery, &err));
  hoopauth_client_free(client);
  hoopauth_webhook_verifier_free(verifier);
  OK(hoopauth_webhook_delivery_confirm(delivery, NULL, &err));
  hoopauth_webhook_delivery_free(delivery);
  webhook_free(&webhook);
  return 0;
}
