/* What the C programs share: checks that name their line, and the addresses of the local HoopAI.
 * C99 and POSIX. */
#ifndef CHECK_H
#define CHECK_H

#include <hoopauth.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUL HOOPAUTH_NUL_TERMINATED

#define CHECK(what)                                                                                \
  do {                                                                                             \
    if (!(what)) {                                                                                 \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what);                           \
      exit(1);                                                                                     \
    }                                                                                              \
  } while (0)

/* The call succeeds, and leaves no error. */
#define OK(call)                                                                                   \
  do {                                                                                             \
    hoopauth_error_t *err = (hoopauth_error_t *)1;                                                 \
    hoopauth_status_t status_ = (call);                                                            \
    if (status_ != HOOPAUTH_OK) {                                                                  \
      fprintf(stderr, "%s:%d: %s: %s: %s\n", __FILE__, __LINE__, #call,                            \
              hoopauth_status_name(status_), hoopauth_error_message(err, 0));                      \
      exit(1);                                                                                     \
    }                                                                                              \
    CHECK(err == NULL);                                                                            \
  } while (0)

/* The call fails with this code, and its error says the same. */
#define FAILS(code, call)                                                                          \
  do {                                                                                             \
    hoopauth_error_t *err = (hoopauth_error_t *)1;                                                 \
    hoopauth_status_t status_ = (call);                                                            \
    if (status_ != (code)) {                                                                       \
      fprintf(stderr, "%s:%d: %s: %s instead of %s: %s\n", __FILE__, __LINE__, #call,              \
              hoopauth_status_name(status_), #code,                                                \
              status_ ? hoopauth_error_message(err, 0) : "");                                      \
      exit(1);                                                                                     \
    }                                                                                              \
    CHECK(hoopauth_error_code(err) == (code));                                                     \
    CHECK(*hoopauth_error_message(err, NULL) != '\0');                                             \
    hoopauth_error_free(err);                                                                      \
  } while (0)

static inline const char *setting(const char *name)
{
  const char *value = getenv(name);
  if (value == NULL) {
    fprintf(stderr, "the environment has no %s\n", name);
    exit(1);
  }
  return value;
}

static inline void set_option(hoopauth_config_t *config, const char *name, const char *value)
{
  OK(hoopauth_config_set(config, name, NUL, value, NUL, &err));
}

/* The options of an app of the local HoopAI. */
static inline hoopauth_config_t *app_config(void)
{
  hoopauth_config_t *config = NULL;
  OK(hoopauth_config_new(&config, &err));
  set_option(config, "client_id", setting("TEST_CLIENT_ID"));
  set_option(config, "client_secret", setting("TEST_CLIENT_SECRET"));
  set_option(config, "redirect_uri", "https://app.example/callback");
  set_option(config, "scopes", setting("TEST_SCOPES"));
  set_option(config, "api_base", setting("TEST_API"));
  set_option(config, "authorize_url", setting("TEST_AUTHORIZE"));
  set_option(config, "token_url", setting("TEST_TOKEN"));
  set_option(config, "location_token_url", setting("TEST_LOCATION_TOKEN"));
  set_option(config, "token_requests_per_minute", "1000");
  set_option(config, "store", "memory:");
  return config;
}

/* Makes the client and frees the configuration. */
static inline hoopauth_client_t *client_of(hoopauth_config_t *config)
{
  hoopauth_client_t *client = NULL;
  OK(hoopauth_client_new(config, &client, &err));
  CHECK(client != NULL);
  hoopauth_config_free(config);
  return client;
}

static inline hoopauth_account_t *account_of(const hoopauth_client_t *client, const char *name)
{
  hoopauth_account_t *account = NULL;
  OK(hoopauth_client_account(client, name, NUL, &account, &err));
  CHECK(strcmp(hoopauth_account_name(account, NULL), name) == 0);
  return account;
}

#endif
