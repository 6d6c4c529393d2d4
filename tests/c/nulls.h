/* Handles for the generated program that gives NULL for every pointer of every function. Nothing of
 * it asks a server.
 */
#ifndef NULLS_H
#define NULLS_H

#include "check.h"

#define LOCATION "location:hoopLocation00000001"

static hoopauth_client_t *client;
static hoopauth_config_t *config;
static hoopauth_account_t *account;
static hoopauth_context_t *context;
static hoopauth_headers_t *headers;
static hoopauth_grant_t *grant;
static hoopauth_accounts_t *accounts;
static hoopauth_health_t *health;
static hoopauth_text_t *text;
static hoopauth_error_t *error;
static hoopauth_authorization_request_t *authorization_request;
static hoopauth_pending_authorization_t *pending_authorization;
static hoopauth_request_t *request;
static hoopauth_response_t *response;
static hoopauth_operation_t *operation;
static hoopauth_webhook_config_t *webhook_config;
static hoopauth_webhook_verifier_t *webhook_verifier;
static hoopauth_webhook_delivery_t *webhook_delivery;

/* Only a server can list them. */
static hoopauth_installed_locations_t *const installed_locations = NULL;

/* These exist within callbacks only. */
static hoopauth_failure_t *const failure = NULL;
static hoopauth_transport_request_t *const transport_request = NULL;
static hoopauth_transport_response_t *const transport_response = NULL;
static hoopauth_row_t *const row = NULL;
static hoopauth_row_list_t *const row_list = NULL;

static hoopauth_log_callbacks_t log_callbacks;
static hoopauth_clock_callbacks_t clock_callbacks;
static hoopauth_change_callbacks_t change_callbacks;
static hoopauth_transport_callbacks_t transport_callbacks;
static hoopauth_store_callbacks_t store_callbacks;
static hoopauth_header_t header;
static hoopauth_rate_limit_t rate_limit;
static hoopauth_mint_summary_t mint_summary;
static const char *const operations[] = {"GET /contacts/{contactId}"};

/* A server that likes everything. */
static inline hoopauth_status_t answer_all(void *user_data,
                                           const hoopauth_transport_request_t *ours,
                                           hoopauth_transport_response_t *theirs,
                                           hoopauth_failure_t *failed)
{
  (void)user_data, (void)ours, (void)failed;
  hoopauth_transport_response_append_body(theirs, (const uint8_t *)"{}", 2, NULL);
  return hoopauth_transport_response_set_status(theirs, 200, NULL);
}

static inline void set_up_webhook(void)
{
  static const char body[] = "{ \"type\": \"ContactCreate\",\n  \"webhookId\": \"w-1\", "
                             "\"locationId\": \"hoopLocation00000001\", \"name\": \"Zo\xc3\xab\" }";
  hoopauth_header_t signature = {"x-wl-signature", NUL,
                                 "7e1bd39ca8cf34a5b6d8b823583149ddb30d65527c7d2f62715f9f0513719a43",
                                 NUL};
  OK(hoopauth_webhook_config_new(&webhook_config, &err));
  OK(hoopauth_webhook_config_set(webhook_config, "any_app", NUL, "true", NUL, &err));
  OK(hoopauth_webhook_config_set(webhook_config, "without_timestamp", NUL, "true", NUL, &err));
  OK(hoopauth_webhook_config_add_key(webhook_config, "hmac-sha256", NUL, "own", NUL,
                                     "a shared secret of some length", NUL, 0, 0, &err));
  OK(hoopauth_webhook_verifier_new(NULL, webhook_config, &webhook_verifier, &err));
  OK(hoopauth_webhook_verifier_verify(webhook_verifier, &signature, 1, (const uint8_t *)body,
                                      strlen(body), NULL, &webhook_delivery, &err));
}

static inline void set_up(void)
{
  (void)log_callbacks, (void)clock_callbacks, (void)change_callbacks, (void)transport_callbacks,
      (void)store_callbacks;
  hoopauth_header_t ours = {"name", NUL, "value", NUL};
  header = ours;
  config = app_config();
  set_option(config, "default_account", LOCATION);
  hoopauth_transport_callbacks_t server;
  memset(&server, 0, sizeof server);
  server.struct_size = sizeof server;
  server.send = answer_all;
  OK(hoopauth_config_set_transport(config, &server, &err));
  OK(hoopauth_client_new(config, &client, &err));
  account = account_of(client, LOCATION);
  OK(hoopauth_context_new(20, &context, &err));
  OK(hoopauth_client_sent_headers(client, account, "GET", NUL, "Bearer token", NUL, &headers,
                                  &err));
  OK(hoopauth_grant_new(LOCATION, NUL, "an-access-token", NUL, &grant, &err));
  OK(hoopauth_grant_set_expires_at_ms(grant, INT64_C(4000000000000), &err));
  OK(hoopauth_client_import(client, grant, true, NULL, NULL, &err));
  OK(hoopauth_client_accounts(client, NULL, &accounts, &err));
  OK(hoopauth_client_health(client, account, NULL, &health, &err));
  OK(hoopauth_client_authorization_request(client, &authorization_request, &err));
  OK(hoopauth_client_begin(client, NULL, &pending_authorization, &err));
  OK(hoopauth_client_seal_pending(client, pending_authorization, &text, &err));
  OK(hoopauth_client_request(client, "GET", NUL, "/contacts/", NUL, &request, &err));
  OK(hoopauth_request_send(request, NULL, &response, &err));
  OK(hoopauth_operation_find("GET", NUL, "/contacts/abc", NUL, &operation, &err));
  set_up_webhook();
  rate_limit.struct_size = sizeof rate_limit;
  mint_summary.struct_size = sizeof mint_summary;
  CHECK(hoopauth_config_set(config, "no such option", NUL, "", 0, &error) == HOOPAUTH_CONFIG);
}

static inline void tear_down(void)
{
  hoopauth_error_free(error);
  hoopauth_webhook_delivery_free(webhook_delivery);
  hoopauth_webhook_verifier_free(webhook_verifier);
  hoopauth_webhook_config_free(webhook_config);
  hoopauth_operation_free(operation);
  hoopauth_response_free(response);
  hoopauth_request_free(request);
  hoopauth_text_free(text);
  hoopauth_pending_authorization_free(pending_authorization);
  hoopauth_authorization_request_free(authorization_request);
  hoopauth_health_free(health);
  hoopauth_accounts_free(accounts);
  hoopauth_grant_free(grant);
  hoopauth_headers_free(headers);
  hoopauth_context_free(context);
  hoopauth_account_free(account);
  hoopauth_client_free(client);
  hoopauth_config_free(config);
}

/* What must be refused, and may not have made anything. */
#define REFUSED(call)                                                                              \
  do {                                                                                             \
    hoopauth_error_t *err = NULL;                                                                  \
    set_up();                                                                                      \
    hoopauth_status_t status_ = (call);                                                            \
    if (status_ != HOOPAUTH_INVALID_ARGUMENT) {                                                    \
      fprintf(stderr, "%s: %s\n", #call, hoopauth_status_name(status_));                           \
      exit(1);                                                                                     \
    }                                                                                              \
    CHECK(err == NULL || hoopauth_error_code(err) == HOOPAUTH_INVALID_ARGUMENT);                   \
    hoopauth_error_free(err);                                                                      \
    tear_down();                                                                                   \
  } while (0)

/* Text that is not UTF-8: refused, and nothing of it is in the message. */
#define UNREADABLE(call)                                                                           \
  do {                                                                                             \
    hoopauth_error_t *err = NULL;                                                                  \
    set_up();                                                                                      \
    hoopauth_status_t status_ = (call);                                                            \
    if (status_ != HOOPAUTH_INVALID_ARGUMENT || err == NULL ||                                     \
        strstr(hoopauth_error_message(err, NULL), "planted") != NULL) {                            \
      fprintf(stderr, "%s: %s\n", #call, hoopauth_status_name(status_));                           \
      exit(1);                                                                                     \
    }                                                                                              \
    hoopauth_error_free(err);                                                                      \
    tear_down();                                                                                   \
  } while (0)

/* What may be left out: any status that is one, but not a crash. */
#define SURVIVED(call)                                                                             \
  do {                                                                                             \
    hoopauth_error_t *err = NULL;                                                                  \
    set_up();                                                                                      \
    hoopauth_status_t status_ = (call);                                                            \
    CHECK(strcmp(hoopauth_status_name(status_), "UNKNOWN") != 0);                                  \
    CHECK(status_ != HOOPAUTH_PANIC && status_ != HOOPAUTH_INTERNAL);                              \
    hoopauth_error_free(err);                                                                      \
    tear_down();                                                                                   \
  } while (0)

#endif
