/* Handles for the generated program that gives NULL for every pointer of every function. Nothing of it asks a server.
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

static inline void set_up(void)
{
  hoopauth_header_t ours = {"name", NUL, "value", NUL};
  header = ours;
  config = app_config();
  set_option(config, "default_account", LOCATION);
  OK(hoopauth_client_new(config, &client, &err));
  account = account_of(client, LOCATION);
  OK(hoopauth_context_new(20, &context, &err));
  OK(hoopauth_client_sent_headers(client, account, "GET", NUL, "Bearer token", NUL, &headers, &err));
  OK(hoopauth_grant_new(LOCATION, NUL, "an-access-token", NUL, &grant, &err));
  OK(hoopauth_grant_set_expires_at_ms(grant, INT64_C(4000000000000), &err));
  OK(hoopauth_client_import(client, grant, true, NULL, NULL, &err));
  OK(hoopauth_client_accounts(client, NULL, &accounts, &err));
  OK(hoopauth_client_health(client, account, NULL, &health, &err));
  OK(hoopauth_client_authorization_request(client, &authorization_request, &err));
  OK(hoopauth_client_begin(client, NULL, &pending_authorization, &err));
  OK(hoopauth_client_seal_pending(client, pending_authorization, &text, &err));
  CHECK(hoopauth_config_set(config, "no such option", NUL, "", 0, &error) == HOOPAUTH_CONFIG);
}

static inline void tear_down(void)
{
  hoopauth_error_free(error);
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
#define REFUSED(call)                                                                                                  \
  do {                                                                                                                 \
    hoopauth_error_t *err = NULL;                                                                                      \
    set_up();                                                                                                          \
    hoopauth_status_t status_ = (call);                                                                                \
    if (status_ != HOOPAUTH_INVALID_ARGUMENT) {                                                                        \
      fprintf(stderr, "%s: %s\n", #call, hoopauth_status_name(status_));                                               \
      exit(1);                                                                                                         \
    }                                                                                                                  \
    CHECK(err == NULL || hoopauth_error_code(err) == HOOPAUTH_INVALID_ARGUMENT);                                       \
    hoopauth_error_free(err);                                                                                          \
    tear_down();                                                                                                       \
  } while (0)

/* What may be left out: any status that is one, but not a crash. */
#define SURVIVED(call)                                                                                                 \
  do {                                                                                                                 \
    hoopauth_error_t *err = NULL;                                                                                      \
    set_up();                                                                                                          \
    hoopauth_status_t status_ = (call);                                                                                \
    CHECK(strcmp(hoopauth_status_name(status_), "UNKNOWN") != 0);                                                      \
    CHECK(status_ != HOOPAUTH_PANIC && status_ != HOOPAUTH_INTERNAL);                                                  \
    hoopauth_error_free(err);                                                                                          \
    tear_down();                                                                                                       \
  } while (0)

#endif
