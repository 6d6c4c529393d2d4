/* Configuration, texts and headers of a client with a Private Integration token: nothing here but
 * the report asks a server. */
#include "http.h"

#define ACCOUNT "location:hoopLocation00000001"

static hoopauth_config_t *configure(void)
{
  hoopauth_config_t *config = NULL;
  OK(hoopauth_config_new(&config, &err));
  set_option(config, "private_integration_token", setting("TEST_PIT"));
  set_option(config, "default_account", ACCOUNT);
  set_option(config, "api_base", setting("TEST_API"));
  return config;
}

static void errors_of_the_configuration(void)
{
  hoopauth_config_t *config = configure();
  hoopauth_error_t *error = NULL;
  CHECK(hoopauth_config_set(config, "timeouts", NUL, "3", NUL, &error) == HOOPAUTH_CONFIG);
  size_t len = 0;
  const char *message = hoopauth_error_message(error, &len);
  CHECK(strstr(message, "timeouts") != NULL && strlen(message) == len);
  CHECK(!hoopauth_error_is_retryable(error) && hoopauth_error_retry_after(error) < 0);
  CHECK(hoopauth_error_http_status(error) == 0 && hoopauth_error_account(error, &len) == NULL &&
        len == 0);
  CHECK(hoopauth_error_trace_id(error, NULL) == NULL &&
        hoopauth_error_server_message(error, NULL) == NULL);
  hoopauth_error_free(error);
  CHECK(hoopauth_config_set(config, "timeout", NUL, "soon", NUL, NULL) == HOOPAUTH_CONFIG);
  FAILS(HOOPAUTH_CONFIG, hoopauth_config_set(config, "timeout", NUL, NULL, 0, &err));

  /* Texts: with a length, without a NUL behind; up to the NUL; what is not UTF-8; NULL with a
   * length; a length that is none. */
  OK(hoopauth_config_set(config, "timeout!", 7, "12.5x", 4, &err));
  FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_config_set(config, "timeout", NUL, "\xff", NUL, &err));
  FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_config_set(config, NULL, 3, "1", 1, &err));
  FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_config_set(config, NULL, NUL, "1", 1, &err));
  FAILS(HOOPAUTH_INVALID_ARGUMENT,
        hoopauth_config_set(config, "timeout", SIZE_MAX - 1, "1", 1, &err));

  FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_config_set_language(config, "", 0, &err));
  FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_config_set_language(config, "c\r\nX: y", NUL, &err));

  /* Two credentials; none at all. */
  set_option(config, "client_id", "an-app");
  hoopauth_client_t *client = (hoopauth_client_t *)1;
  FAILS(HOOPAUTH_CONFIG, hoopauth_client_new(config, &client, &err));
  CHECK(client == NULL);
  hoopauth_config_free(config);
  OK(hoopauth_config_new(&config, &err));
  FAILS(HOOPAUTH_CONFIG, hoopauth_client_new(config, &client, &err));

  /* The environment, where it is asked for. */
  setenv("HOOPAUTH_PRIVATE_INTEGRATION_TOKEN", setting("TEST_PIT"), 1);
  FAILS(HOOPAUTH_CONFIG, hoopauth_client_new(config, &client, &err));
  OK(hoopauth_config_use_environment(config, &err));
  OK(hoopauth_client_new(config, &client, &err));
  unsetenv("HOOPAUTH_PRIVATE_INTEGRATION_TOKEN");
  hoopauth_config_free(config);
  hoopauth_client_free(client);
}

#define check_value(value, len, expected)                                                          \
  do {                                                                                             \
    const char *value_ = (value);                                                                  \
    CHECK(value_ != NULL && strcmp(value_, expected) == 0);                                        \
    CHECK((len) == strlen(expected));                                                              \
  } while (0)

static void headers(void)
{
  hoopauth_client_t *client = client_of(configure());
  hoopauth_account_t *account = account_of(client, ACCOUNT);
  hoopauth_headers_t *by[3] = {NULL, NULL, NULL};
  OK(hoopauth_client_headers(client, account, "post", NUL, NULL, &by[0], &err));
  OK(hoopauth_client_headers(client, NULL, "POST", 4, NULL, &by[1], &err));
  OK(hoopauth_client_headers_by_name(client, ACCOUNT, NUL, "Post", 4, NULL, &by[2], &err));
  char bearer[100];
  snprintf(bearer, sizeof bearer, "Bearer %s", setting("TEST_PIT"));
  size_t len = 0;
  for (int i = 0; i < 3; i++) {
    check_value(hoopauth_headers_authorization(by[i], &len), len, bearer);
    check_value(hoopauth_headers_version(by[i], &len), len, "2021-07-28");
    check_value(hoopauth_headers_content_type(by[i], &len), len, "application/json");
    check_value(hoopauth_headers_user_agent(by[i], &len), len, "hoopauth/" HOOPAUTH_VERSION " (c)");
    CHECK(hoopauth_headers_count(by[i]) == 4);
  }
  hoopauth_header_t header;
  OK(hoopauth_headers_at(by[0], 0, &header, &err));
  check_value(header.name, header.name_len, "Authorization");
  check_value(header.value, header.value_len, bearer);
  FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_headers_at(by[0], 4, &header, &err));
  FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_headers_at(by[0], SIZE_MAX, &header, &err));
  hoopauth_headers_t *v3 = NULL;
  OK(hoopauth_headers_with_version(by[0], "v3", NUL, &v3, &err));
  check_value(hoopauth_headers_version(v3, &len), len, "v3");
  check_value(hoopauth_headers_authorization(v3, &len), len, bearer);
  check_value(hoopauth_headers_content_type(v3, &len), len, "application/json");
  check_value(hoopauth_headers_version(by[0], &len), len, "2021-07-28");
  hoopauth_headers_t *v4 = NULL;
  OK(hoopauth_headers_with_version(v3, "2021-04-15", NUL, &v4, &err));
  check_value(hoopauth_headers_version(v4, &len), len, "2021-04-15");
  hoopauth_headers_free(v4);
  FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_headers_with_version(v3, "v3\r\nX: y", NUL, &v4, &err));
  CHECK(v4 == NULL);
  hoopauth_headers_free(v3);

  hoopauth_headers_t *get = NULL;
  OK(hoopauth_client_headers(client, account, "GET", NUL, NULL, &get, &err));
  CHECK(hoopauth_headers_count(get) == 3);
  CHECK(hoopauth_headers_content_type(get, &len) == NULL && len == 0);
  CHECK(api_call(get, "/locations/hoopLocation00000001", NULL) == 200);
  hoopauth_headers_free(get);

  /* A foreign account, and what is no account. */
  hoopauth_account_t *other = NULL;
  FAILS(HOOPAUTH_WRONG_ACCOUNT,
        hoopauth_client_account(client, "location:someOtherOne00000001", NUL, &other, &err));
  FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_client_account(client, "nobody", NUL, &other, &err));
  CHECK(other == NULL);
  FAILS(HOOPAUTH_INVALID_ARGUMENT,
        hoopauth_client_headers_by_name(client, "nobody", NUL, "GET", 3, NULL, &get, &err));
  CHECK(get == NULL);

  /* What needs OAuth. */
  hoopauth_pending_authorization_t *pending = NULL;
  FAILS(HOOPAUTH_INVALID_STATE, hoopauth_client_begin(client, NULL, &pending, &err));
  FAILS(HOOPAUTH_INVALID_STATE, hoopauth_client_maintain(client, INT64_MAX, NULL, &err));

  /* Headers and accounts outlive the references, in any order. */
  hoopauth_account_t *again = hoopauth_account_ref(account);
  hoopauth_client_t *more = hoopauth_client_ref(client);
  CHECK(again == account && more == client);
  hoopauth_client_free(client);
  hoopauth_account_free(account);
  hoopauth_headers_t *sent = NULL;
  OK(hoopauth_client_sent_headers(more, again, "GET", NUL, bearer, NUL, &sent, &err));
  check_value(hoopauth_headers_authorization(sent, &len), len, bearer);

  /* A refused token: no repeat, a code of its own. */
  tell("private-integrations/revoke", "{\"token\":\"pit-10ca7100-0000-4000-8000-000000000001\"}");
  answer_t answer;
  CHECK(api_call(sent, "/contacts/?locationId=hoopLocation00000001", &answer) == 401);
  hoopauth_headers_t *repeat = (hoopauth_headers_t *)1;
  hoopauth_error_t *error = NULL;
  CHECK(hoopauth_client_report(more, sent, 401, NULL, 0, (const uint8_t *)answer.body,
                               answer.body_len, NULL, &repeat,
                               &error) == HOOPAUTH_INVALID_PRIVATE_INTEGRATION);
  CHECK(repeat == NULL && hoopauth_error_http_status(error) == 401);
  check_value(hoopauth_error_account(error, &len), len, ACCOUNT);
  CHECK(strstr(hoopauth_error_message(error, NULL), setting("TEST_PIT")) == NULL);
  hoopauth_error_free(error);
  free(answer.text);
  hoopauth_headers_free(sent);

  hoopauth_client_free(more);
  check_value(hoopauth_account_name(again, &len), len, ACCOUNT);
  hoopauth_account_free(again);
  check_value(hoopauth_headers_authorization(by[1], &len), len, bearer);
  for (int i = 0; i < 3; i++) {
    hoopauth_headers_free(by[i]);
  }
}

/* An account speaks for the client it was looked up with, whatever is cached. */
static void accounts_of_another_client(void)
{
  hoopauth_client_t *clients[2];
  hoopauth_account_t *account = NULL;
  for (int i = 0; i < 2; i++) {
    hoopauth_config_t *config = NULL;
    OK(hoopauth_config_new(&config, &err));
    OK(hoopauth_config_set(config, "access_token", NUL, i == 0 ? "first" : "second", NUL, &err));
    OK(hoopauth_client_new(config, &clients[i], &err));
    hoopauth_config_free(config);
  }
  OK(hoopauth_client_account(clients[0], "location:one", NUL, &account, &err));
  hoopauth_headers_t *headers = NULL;
  hoopauth_context_t *context = NULL;
  OK(hoopauth_context_new(30, &context, &err));
  for (int i = 0; i < 3; i++) {
    FAILS(HOOPAUTH_INVALID_ARGUMENT,
          hoopauth_client_headers(clients[1], account, "GET", NUL, NULL, &headers, &err));
    FAILS(HOOPAUTH_INVALID_ARGUMENT,
          hoopauth_client_headers(clients[1], account, "GET", NUL, context, &headers, &err));
    FAILS(HOOPAUTH_INVALID_ARGUMENT,
          hoopauth_client_sent_headers(clients[1], account, "GET", NUL, "Bearer first", NUL,
                                       &headers, &err));
    FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_client_remove(clients[1], account, NULL, NULL, &err));
    OK(hoopauth_client_headers(clients[0], account, "GET", NUL, NULL, &headers, &err));
    CHECK(strcmp(hoopauth_headers_authorization(headers, NULL), "Bearer first") == 0);
    hoopauth_headers_free(headers);
  }
  OK(hoopauth_client_close(clients[0], &err));
  FAILS(HOOPAUTH_INVALID_STATE,
        hoopauth_client_headers(clients[0], account, "GET", NUL, NULL, &headers, &err));
  hoopauth_context_free(context);
  hoopauth_account_free(account);
  hoopauth_client_free(clients[0]);
  hoopauth_client_free(clients[1]);
}

int main(void)
{
  accounts_of_another_client();
  errors_of_the_configuration();
  headers();
  return 0;
}
