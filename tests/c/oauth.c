/* A login, and everything that can become of its grant. */
#include "http.h"

#define LOCATION "location:hoopLocation00000001"
#define OTHER "location:hoopLocation00000002"
#define MINTED "location:hoopLocation00000003"
#define COMPANY "company:hoopCompany000000001"

static int works(const hoopauth_client_t *client, const char *account)
{
  hoopauth_headers_t *headers = NULL;
  OK(hoopauth_client_headers_by_name(client, account, NUL, "GET", NUL, NULL, &headers, &err));
  char path[100];
  snprintf(path, sizeof path, "/locations/%s", strchr(account, ':') + 1);
  int status = api_call(headers, path, NULL);
  hoopauth_headers_free(headers);
  return status == 200;
}

/* Logs in over the authorization page; a context, if there is one, bounds the exchange. */
static hoopauth_account_t *login(const hoopauth_client_t *client, const char *as,
                                 const hoopauth_context_t *context)
{
  hoopauth_pending_authorization_t *pending = NULL;
  OK(hoopauth_client_begin(client, NULL, &pending, &err));
  char *redirect = approve(hoopauth_pending_authorization_url(pending, NULL), as);
  hoopauth_account_t *account = NULL;
  OK(hoopauth_client_complete(client, pending, redirect, NUL, context, &account, &err));
  size_t len = 0;
  CHECK(strcmp(hoopauth_account_name(account, &len), as) == 0 && len == strlen(as));
  hoopauth_account_t *again = (hoopauth_account_t *)1;
  FAILS(HOOPAUTH_STATE_MISMATCH,
        hoopauth_client_complete(client, pending, redirect, NUL, NULL, &again, &err));
  CHECK(again == NULL);
  free(redirect);
  hoopauth_pending_authorization_free(pending);
  return account;
}

static void authorization(const hoopauth_client_t *client)
{
  hoopauth_authorization_request_t *request = NULL;
  OK(hoopauth_client_authorization_request(client, &request, &err));
  OK(hoopauth_authorization_request_set_scopes(request, "contacts.readonly locations.readonly", NUL,
                                               &err));
  OK(hoopauth_authorization_request_set_redirect_uri(request, "https://app.example/other", NUL,
                                                     &err));
  OK(hoopauth_authorization_request_set_pkce(request, true, &err));
  OK(hoopauth_authorization_request_set_login_window_self(request, true, &err));
  OK(hoopauth_authorization_request_set_version_id(request, "v1", NUL, &err));
  hoopauth_pending_authorization_t *pending = NULL;
  OK(hoopauth_client_begin(client, request, &pending, &err));
  size_t len = 0;
  const char *url = hoopauth_pending_authorization_url(pending, &len);
  CHECK(strlen(url) == len && strstr(url, "code_challenge_method=S256") &&
        strstr(url, "loginWindowOpenMode=self"));
  CHECK(strstr(url, "app.example%2Fother") && strstr(url, "version_id=v1") &&
        strstr(url, "locations.readonly"));
  const char *state = hoopauth_pending_authorization_state(pending, &len);
  CHECK(strlen(state) == len && strstr(url, state));
  CHECK(hoopauth_pending_authorization_expires_at_ms(pending) > INT64_C(1500000000000));

  /* Sealed for a cookie, opened again, and completed from there. */
  hoopauth_text_t *sealed = NULL;
  OK(hoopauth_client_seal_pending(client, pending, &sealed, &err));
  const char *text = hoopauth_text_data(sealed, &len);
  CHECK(strlen(text) == len && strstr(text, state) == NULL);
  hoopauth_pending_authorization_t *opened = NULL;
  OK(hoopauth_client_open_pending(client, text, len, &opened, &err));
  /* It holds none of the scopes: the URL is made anew with the client's. */
  const char *again = hoopauth_pending_authorization_url(opened, NULL);
  CHECK(strstr(again, state) && strstr(again, "app.example%2Fother") &&
        strstr(again, "version_id=v1"));
  CHECK(strcmp(hoopauth_pending_authorization_state(opened, NULL), state) == 0);
  hoopauth_pending_authorization_t *wrong = (hoopauth_pending_authorization_t *)1;
  FAILS(HOOPAUTH_STATE_MISMATCH, hoopauth_client_open_pending(client, text, len - 1, &wrong, &err));
  CHECK(wrong == NULL);

  hoopauth_account_t *account = NULL;
  FAILS(HOOPAUTH_STATE_MISMATCH,
        hoopauth_client_complete(client, opened, "?code=1&state=2", NUL, NULL, &account, &err));
  FAILS(HOOPAUTH_STATE_MISMATCH,
        hoopauth_client_complete(client, opened, NULL, 0, NULL, &account, &err));
  char *redirect = approve(url, OTHER);
  OK(hoopauth_client_complete(client, opened, redirect, NUL, NULL, &account, &err));
  CHECK(strcmp(hoopauth_account_name(account, NULL), OTHER) == 0);
  CHECK(works(client, OTHER));
  hoopauth_health_t *health = NULL;
  OK(hoopauth_client_health(client, account, NULL, &health, &err));
  CHECK(strcmp(hoopauth_health_scopes(health, &len), "contacts.readonly locations.readonly") == 0 &&
        len == 36);
  hoopauth_health_free(health);
  hoopauth_account_free(account);
  hoopauth_pending_authorization_free(opened);
  hoopauth_text_free(sealed);
  hoopauth_pending_authorization_free(pending);

  /* The user says no; the state is still good for one yes. */
  OK(hoopauth_client_begin(client, request, &pending, &err));
  char denied[200];
  snprintf(denied, sizeof denied, "https://app.example/other?error=access_denied&state=%s",
           hoopauth_pending_authorization_state(pending, NULL));
  FAILS(HOOPAUTH_AUTHORIZATION_DENIED,
        hoopauth_client_complete(client, pending, denied, NUL, NULL, &account, &err));
  hoopauth_pending_authorization_free(pending);

  OK(hoopauth_authorization_request_set_redirect_uri(request, "not a uri", NUL, &err));
  FAILS(HOOPAUTH_CONFIG, hoopauth_client_begin(client, request, &pending, &err));
  CHECK(pending == NULL);
  hoopauth_authorization_request_free(request);
  free(redirect);

  /* From the marketplace, without state: only for the account that is expected. */
  char *code_json = control("POST", "authorize", "{\"account\":\"" LOCATION "\"}");
  char *code = member(code_json, "code");
  hoopauth_account_t *expected = account_of(client, OTHER);
  FAILS(HOOPAUTH_WRONG_ACCOUNT,
        hoopauth_client_complete_unsolicited(client, code, NUL, expected, NULL, &account, &err));
  free(code);
  free(code_json);
  code_json = control("POST", "authorize", "{\"account\":\"" OTHER "\"}");
  code = member(code_json, "code");
  OK(hoopauth_client_complete_unsolicited(client, code, NUL, expected, NULL, &account, &err));
  hoopauth_account_free(account);
  hoopauth_account_free(expected);
  free(code);
  free(code_json);
}

static void refresh_and_repeat(const hoopauth_client_t *client, const hoopauth_account_t *account)
{
  /* The API refuses a token: the report gets another, once, and the repeat works. */
  hoopauth_headers_t *before = NULL;
  OK(hoopauth_client_headers(client, account, "GET", NUL, NULL, &before, &err));
  tell("expire", "{\"account\":\"" LOCATION "\"}");
  answer_t answer;
  CHECK(api_call(before, "/locations/hoopLocation00000001", &answer) == 401);
  hoopauth_header_t type = {"content-type", NUL, "application/json", NUL};
  hoopauth_headers_t *repeat = NULL;
  OK(hoopauth_client_report(client, before, 401, &type, 1, (const uint8_t *)answer.body,
                            answer.body_len, NULL, &repeat, &err));
  CHECK(repeat != NULL && count_of("rotations") == 1);
  CHECK(strcmp(hoopauth_headers_authorization(before, NULL),
               hoopauth_headers_authorization(repeat, NULL)) != 0);
  CHECK(api_call(repeat, "/locations/hoopLocation00000001", NULL) == 200);
  /* Somebody else who was refused with the old one gets the new one, without a further refresh,
   * also within a context.
   */
  hoopauth_context_t *context = NULL;
  OK(hoopauth_context_new(30, &context, &err));
  hoopauth_headers_t *other = NULL;
  OK(hoopauth_client_report(client, before, 401, &type, 1, (const uint8_t *)answer.body,
                            answer.body_len, context, &other, &err));
  CHECK(strcmp(hoopauth_headers_authorization(other, NULL),
               hoopauth_headers_authorization(repeat, NULL)) == 0);
  CHECK(count_of("rotations") == 1);
  hoopauth_context_free(context);
  hoopauth_headers_free(other);
  free(answer.text);
  /* What is no matter of authentication. */
  hoopauth_headers_t *none = (hoopauth_headers_t *)1;
  OK(hoopauth_client_report(client, repeat, 200, NULL, 0, NULL, 0, NULL, &none, &err));
  CHECK(none == NULL);
  /* An answer that can't be cured. */
  CHECK(api_call(repeat, "/locations/hoopLocation00000002", &answer) == 403);
  hoopauth_error_t *error = NULL;
  CHECK(hoopauth_client_report(client, repeat, 403, NULL, 0, (const uint8_t *)answer.body,
                               answer.body_len, NULL, &none, &error) == HOOPAUTH_WRONG_ACCOUNT);
  size_t len = 0;
  CHECK(hoopauth_error_http_status(error) == 403 &&
        strcmp(hoopauth_error_account(error, &len), LOCATION) == 0 && len == strlen(LOCATION));
  CHECK(strstr(hoopauth_error_server_message(error, &len), "does not have access") != NULL);
  char *trace = member(answer.body, "traceId");
  CHECK(strcmp(hoopauth_error_trace_id(error, &len), trace) == 0 && len == strlen(trace));
  free(trace);
  hoopauth_error_free(error);
  free(answer.text);
  hoopauth_header_t retry = {"Retry-After", 11, "7", 1};
  CHECK(hoopauth_client_report(client, repeat, 429, &retry, 1, NULL, 0, NULL, &none, &error) ==
        HOOPAUTH_RATE_LIMITED);
  CHECK(hoopauth_error_retry_after(error) == 7.0 && hoopauth_error_is_retryable(error));
  hoopauth_error_free(error);
  hoopauth_headers_free(repeat);
  hoopauth_headers_free(before);
}

static void in_and_out(const hoopauth_client_t *client, const hoopauth_account_t *account)
{
  hoopauth_grant_t *grant = NULL;
  OK(hoopauth_client_export(client, account, NULL, &grant, &err));
  size_t len = 0;
  CHECK(strcmp(hoopauth_grant_account(grant, &len), LOCATION) == 0 && len == strlen(LOCATION));
  char *issued = control("GET", "grants?account=" LOCATION, "");
  char *access = member(issued, "access_token"), *refresh = member(issued, "refresh_token");
  CHECK(strcmp(hoopauth_grant_access_token(grant, NULL), access) == 0);
  CHECK(strcmp(hoopauth_grant_refresh_token(grant, NULL), refresh) == 0);
  CHECK(strcmp(hoopauth_grant_company_id(grant, NULL), "hoopCompany000000001") == 0);
  CHECK(hoopauth_grant_user_id(grant, &len) != NULL && len > 0);
  CHECK(strstr(hoopauth_grant_scopes(grant, NULL), "contacts.readonly") != NULL);
  CHECK(hoopauth_grant_expires_at_ms(grant) > hoopauth_grant_obtained_at_ms(grant));
  CHECK(hoopauth_grant_authorized_at_ms(grant) > 0 && !hoopauth_grant_is_minted(grant));
  free(refresh);
  free(access);
  free(issued);

  int32_t outcome = 0;
  OK(hoopauth_client_import(client, grant, false, NULL, &outcome, &err));
  CHECK(outcome == HOOPAUTH_IMPORT_KNOWN);
  hoopauth_grant_t *seed = NULL;
  OK(hoopauth_grant_new(LOCATION, NUL, "an-access-token", NUL, &seed, &err));
  OK(hoopauth_grant_set_refresh_token(seed, "a-refresh-token", NUL, &err));
  OK(hoopauth_grant_set_scopes(seed, "a b", NUL, &err));
  OK(hoopauth_grant_set_company_id(seed, "hoopCompany000000001", NUL, &err));
  OK(hoopauth_grant_set_expires_at_ms(seed, INT64_C(4000000000000), &err));
  CHECK(hoopauth_grant_expires_at_ms(seed) == INT64_C(4000000000000));
  OK(hoopauth_client_import(client, seed, false, NULL, &outcome, &err));
  CHECK(outcome == HOOPAUTH_IMPORT_KEPT);
  OK(hoopauth_client_import(client, seed, false, NULL, NULL, &err));
  hoopauth_grant_free(seed);
  FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_grant_new("nobody", NUL, "token", NUL, &seed, &err));
  OK(hoopauth_grant_new(LOCATION, NUL, "", 0, &seed, &err));
  FAILS(HOOPAUTH_INVALID_ARGUMENT,
        hoopauth_client_import(client, seed, true, NULL, &outcome, &err));
  hoopauth_grant_free(seed);

  hoopauth_accounts_t *accounts = NULL;
  OK(hoopauth_client_accounts(client, NULL, &accounts, &err));
  CHECK(hoopauth_accounts_count(accounts) == 2);
  CHECK(strcmp(hoopauth_accounts_at(accounts, 0, &len), LOCATION) == 0 && len == strlen(LOCATION));
  CHECK(strcmp(hoopauth_accounts_at(accounts, 1, NULL), OTHER) == 0);
  CHECK(hoopauth_accounts_at(accounts, 2, &len) == NULL && len == 0);
  hoopauth_accounts_free(accounts);

  bool removed = false;
  OK(hoopauth_client_remove(client, account, NULL, &removed, &err));
  CHECK(removed);
  OK(hoopauth_client_remove(client, account, NULL, &removed, &err));
  CHECK(!removed);
  hoopauth_headers_t *headers = (hoopauth_headers_t *)1;
  FAILS(HOOPAUTH_NO_GRANT,
        hoopauth_client_headers(client, account, "GET", NUL, NULL, &headers, &err));
  CHECK(headers == NULL);
  hoopauth_grant_t *none = (hoopauth_grant_t *)1;
  FAILS(HOOPAUTH_NO_GRANT, hoopauth_client_export(client, account, NULL, &none, &err));
  CHECK(none == NULL);
  hoopauth_health_t *health = (hoopauth_health_t *)1;
  FAILS(HOOPAUTH_NO_GRANT, hoopauth_client_health(client, account, NULL, &health, &err));
  CHECK(health == NULL);
  OK(hoopauth_client_import(client, grant, true, NULL, &outcome, &err));
  CHECK(outcome == HOOPAUTH_IMPORT_KNOWN || outcome == HOOPAUTH_IMPORT_IMPORTED);
  hoopauth_grant_free(grant);
}

static void failures(const hoopauth_client_t *client)
{
  hoopauth_headers_t *headers = NULL;
  hoopauth_error_t *error = NULL;
  size_t len = 0;

  /* A paused account keeps its grant. */
  import(client, LOCATION, 0);
  tell("pause", "{\"location_id\":\"hoopLocation00000001\"}");
  CHECK(hoopauth_client_headers_by_name(client, LOCATION, NUL, "GET", NUL, NULL, &headers,
                                        &error) == HOOPAUTH_ACCOUNT_INACTIVE);
  CHECK(hoopauth_error_http_status(error) == 400 &&
        strcmp(hoopauth_error_account(error, &len), LOCATION) == 0);
  CHECK(hoopauth_error_trace_id(error, NULL) != NULL);
  hoopauth_error_free(error);
  tell("unpause", "{\"location_id\":\"hoopLocation00000001\"}");

  /* A lost answer is asked for again, and nothing is lost. */
  import(client, OTHER, 0);
  tell("faults", "{\"endpoint\":\"token\",\"kind\":\"lost_answer\"}");
  CHECK(works(client, OTHER));

  /* A refused refresh token: only the user can help. */
  import(client, OTHER, 0);
  tell("revoke", "{\"account\":\"" OTHER "\",\"access\":true,\"refresh\":true}");
  CHECK(hoopauth_client_headers_by_name(client, OTHER, NUL, "GET", NUL, NULL, &headers, &error) ==
        HOOPAUTH_REAUTHORIZATION_REQUIRED);
  CHECK(headers == NULL && strcmp(hoopauth_error_account(error, NULL), OTHER) == 0);
  hoopauth_error_free(error);
  hoopauth_account_t *account = account_of(client, OTHER);
  hoopauth_health_t *health = NULL;
  OK(hoopauth_client_health(client, account, NULL, &health, &err));
  CHECK(hoopauth_health_needs_reauthorization(health) &&
        hoopauth_health_last_error(health, &len) != NULL && len > 0);
  CHECK(!hoopauth_health_is_unsaved(health) && hoopauth_health_idle_days_left(health) > 300);
  hoopauth_health_free(health);
  hoopauth_account_free(account);

  /* A server in trouble. */
  import(client, OTHER, 0);
  tell("faults", "{\"endpoint\":\"token\",\"kind\":\"status\",\"status\":503,\"headers\":{\"retry-"
                 "after\":\"0\"},"
                 "\"body\":\"busy\",\"times\":20}");
  CHECK(hoopauth_client_headers_by_name(client, OTHER, NUL, "GET", NUL, NULL, &headers, &error) ==
        HOOPAUTH_HTTP_STATUS);
  CHECK(hoopauth_error_http_status(error) == 503 && hoopauth_error_is_retryable(error));
  hoopauth_error_free(error);
  free(control("DELETE", "faults", ""));
}

static void minting(const hoopauth_client_t *client)
{
  hoopauth_account_t *location = account_of(client, MINTED), *company = account_of(client, COMPANY);
  FAILS(HOOPAUTH_NO_GRANT, hoopauth_client_mint(client, location, company, NULL, &err));
  FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_client_mint(client, company, location, NULL, &err));
  hoopauth_account_t *same = login(client, COMPANY, NULL);
  OK(hoopauth_client_mint(client, location, company, NULL, &err));
  CHECK(works(client, MINTED) && count_of("location_tokens_minted") == 1);
  hoopauth_grant_t *grant = NULL;
  OK(hoopauth_client_export(client, location, NULL, &grant, &err));
  CHECK(hoopauth_grant_is_minted(grant));
  hoopauth_grant_free(grant);
  hoopauth_account_free(same);
  hoopauth_account_free(company);
  hoopauth_account_free(location);
}

int main(void)
{
  hoopauth_config_t *config = app_config();
  set_option(config, "default_account", LOCATION);
  set_option(config, "max_retries", "1");
  hoopauth_client_t *client = client_of(config);
  authorization(client);
  hoopauth_context_t *context = NULL;
  OK(hoopauth_context_new(60, &context, &err));
  hoopauth_account_t *account = login(client, LOCATION, context);
  hoopauth_context_free(context);
  CHECK(works(client, LOCATION));
  refresh_and_repeat(client, account);
  in_and_out(client, account);
  failures(client);
  minting(client);

  /* Closed for all who hold a reference. */
  hoopauth_client_t *other = hoopauth_client_ref(client);
  OK(hoopauth_client_close(client, &err));
  hoopauth_headers_t *headers = NULL;
  FAILS(HOOPAUTH_INVALID_STATE,
        hoopauth_client_headers(other, account, "GET", NUL, NULL, &headers, &err));
  FAILS(HOOPAUTH_INVALID_STATE,
        hoopauth_client_headers_by_name(other, OTHER, NUL, "GET", NUL, NULL, &headers, &err));
  hoopauth_client_free(client);
  hoopauth_client_free(other);
  hoopauth_account_free(account);
  return 0;
}
