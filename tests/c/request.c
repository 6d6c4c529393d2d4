/* Requests that the library sends, the limits that their answers tell, operations and scopes, and
 * all locations of a company. */
#include "http.h"

#include <math.h>
#include <pthread.h>

#define LOCATION "location:hoopLocation00000001"
#define COMPANY "company:hoopCompany000000001"
#define FAR INT64_C(4000000000000)

static hoopauth_request_t *request_of(const hoopauth_client_t *client, const char *method,
                                      const char *path)
{
  hoopauth_request_t *request = NULL;
  OK(hoopauth_client_request(client, method, NUL, path, NUL, &request, &err));
  CHECK(request != NULL);
  return request;
}

static void is_text(const char *text, size_t len, const char *expected)
{
  CHECK(text != NULL && strcmp(text, expected) == 0 && len == strlen(expected));
}

/* What is set arrives, and a request may be sent again. */
static void everything_of_a_request(const hoopauth_client_t *client)
{
  hoopauth_request_t *request = request_of(client, "post", "/echo/there?a=1");
  OK(hoopauth_request_set_account(request, LOCATION, NUL, &err));
  OK(hoopauth_request_add_param(request, "q", NUL, "a b&c", NUL, &err));
  OK(hoopauth_request_add_param(request, "q", NUL, "again!", 5, &err));
  OK(hoopauth_request_add_header(request, "X-Own", NUL, "mine", NUL, &err));
  OK(hoopauth_request_set_body(request, (const uint8_t *)"{\"k\":\"v\"}", 9, &err));
  OK(hoopauth_request_set_version(request, "2021-04-15", NUL, &err));
  OK(hoopauth_request_set_timeout(request, 20, &err));
  OK(hoopauth_request_set_max_body(request, 100000, &err));
  for (int i = 0; i < 2; i++) {
    hoopauth_response_t *response = NULL;
    OK(hoopauth_request_send(request, NULL, &response, &err));
    CHECK(hoopauth_response_status(response) == 200);
    size_t len = 0;
    const char *body = hoopauth_response_body(response, &len);
    CHECK(strlen(body) == len);
    CHECK(strstr(body, "\"method\":\"POST\"") && strstr(body, "\"path\":\"/echo/there\""));
    CHECK(strstr(body, "\"query\":\"a=1&q=a+b%26c&q=again\"") ||
          strstr(body, "\"query\":\"a=1&q=a%20b%26c&q=again\""));
    CHECK(strstr(body, "\"x-own\":\"mine\"") && strstr(body, "\"version\":\"2021-04-15\""));
    CHECK(strstr(body, "\"content-type\":\"application/json\"") && strstr(body, "\"k\":\"v\""));
    CHECK(strstr(body, "\"user-agent\":\"hoopauth/" HOOPAUTH_VERSION " (c)\""));
    const char *type = hoopauth_response_header(response, "Content-TYPE", NUL, &len);
    is_text(type, len, "application/json");
    CHECK(hoopauth_response_header(response, "x-none", NUL, &len) == NULL && len == 0);
    size_t count = hoopauth_response_header_count(response), seen = 0;
    hoopauth_header_t header;
    for (size_t at = 0; at < count; at++) {
      OK(hoopauth_response_header_at(response, at, &header, &err));
      CHECK(strlen(header.name) == header.name_len && strlen(header.value) == header.value_len);
      seen += strcmp(header.name, "content-type") == 0;
    }
    CHECK(seen == 1);
    FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_response_header_at(response, count, &header, &err));
    hoopauth_response_free(response);
  }
  /* The longest body to accept. */
  hoopauth_response_t *response = NULL;
  OK(hoopauth_request_set_max_body(request, 10, &err));
  FAILS(HOOPAUTH_MALFORMED_RESPONSE, hoopauth_request_send(request, NULL, &response, &err));
  FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_request_set_timeout(request, -1, &err));
  FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_request_set_timeout(request, NAN, &err));
  OK(hoopauth_request_set_timeout(request, INFINITY, &err));
  OK(hoopauth_request_set_timeout(request, 0, &err));
  FAILS(HOOPAUTH_TIMEOUT, hoopauth_request_send(request, NULL, &response, &err));
  CHECK(response == NULL);
  hoopauth_request_free(request);
}

/* What is wrong with a request is told when it is sent, and nothing is sent. */
static void what_is_no_request(const hoopauth_client_t *client)
{
  static const char *const paths[] = {"//elsewhere.example/", "https://elsewhere.example/",
                                      "/a\r\nb", "/../a", "ftp://127.0.0.1/"};
  long before = count_of("api_requests");
  hoopauth_response_t *response = NULL;
  hoopauth_request_t *request = NULL;
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
    request = request_of(client, "GET", paths[i]);
    FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_request_send(request, NULL, &response, &err));
    hoopauth_request_free(request);
  }
  request = request_of(client, "GE T", "/echo/");
  FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_request_send(request, NULL, &response, &err));
  hoopauth_request_free(request);
  request = request_of(client, "GET", "/echo/");
  OK(hoopauth_request_add_header(request, "Authorization", NUL, "Bearer mine", NUL, &err));
  FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_request_send(request, NULL, &response, &err));
  FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_request_add_header(request, "\xff", NUL, "", 0, &err));
  hoopauth_request_free(request);
  FAILS(HOOPAUTH_INVALID_ARGUMENT,
        hoopauth_client_request(client, "\xff", NUL, "/", NUL, &request, &err));
  CHECK(request == NULL && response == NULL);
  request = request_of(client, "GET", "/echo/");
  OK(hoopauth_request_set_account(request, "nobody", NUL, &err));
  FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_request_send(request, NULL, &response, &err));
  hoopauth_request_free(request);
  CHECK(count_of("api_requests") == before);
}

/* Another status than 2xx: an error with the answer at hand, or an answer. */
static void answers_that_are_errors(const hoopauth_client_t *client)
{
  hoopauth_request_t *request = request_of(client, "GET", "/contacts/none");
  hoopauth_response_t *response = (hoopauth_response_t *)1;
  hoopauth_error_t *error = NULL;
  CHECK(hoopauth_request_send(request, NULL, &response, &error) == HOOPAUTH_HTTP_STATUS &&
        response == NULL);
  const hoopauth_response_t *of = hoopauth_error_response(error);
  CHECK(of != NULL && of == hoopauth_error_response(error) && hoopauth_response_status(of) == 404);
  CHECK(hoopauth_error_http_status(error) == 404);
  CHECK(strstr(hoopauth_response_body(of, NULL), "\"statusCode\":404") != NULL);
  CHECK(hoopauth_response_header(of, "content-type", NUL, NULL) != NULL);
  hoopauth_error_free(error);
  OK(hoopauth_request_set_any_status(request, true, &err));
  OK(hoopauth_request_send(request, NULL, &response, &err));
  CHECK(hoopauth_response_status(response) == 404);
  hoopauth_response_free(response);
  hoopauth_request_free(request);
  CHECK(hoopauth_config_set(NULL, "", 0, "", 0, &error) == HOOPAUTH_INVALID_ARGUMENT);
  CHECK(hoopauth_error_response(error) == NULL);
  hoopauth_error_free(error);

  /* What may be sent twice is tried again. */
  request = request_of(client, "POST", "/echo/");
  tell("faults",
       "{\"endpoint\":\"api\",\"kind\":\"status\",\"status\":503,\"body\":\"busy\",\"times\":2}");
  CHECK(hoopauth_request_send(request, NULL, &response, NULL) == HOOPAUTH_HTTP_STATUS);
  OK(hoopauth_request_set_repeatable(request, true, &err));
  OK(hoopauth_request_send(request, NULL, &response, &err));
  CHECK(hoopauth_response_status(response) == 200);
  hoopauth_response_free(response);
  hoopauth_request_free(request);

  /* A refused token is refreshed on the way. */
  tell("expire", "{\"account\":\"" LOCATION "\"}");
  request = request_of(client, "GET", "/locations/hoopLocation00000001");
  OK(hoopauth_request_send(request, NULL, &response, &err));
  CHECK(hoopauth_response_status(response) == 200);
  hoopauth_response_free(response);
  hoopauth_request_free(request);
}

static void *cancel_once_held(void *context)
{
  wait_held("api", 1);
  OK(hoopauth_context_cancel(context, &err));
  return NULL;
}

static void *send_one(void *request)
{
  hoopauth_response_t *response = NULL;
  OK(hoopauth_request_send(request, NULL, &response, &err));
  CHECK(hoopauth_response_status(response) == 200);
  hoopauth_response_free(response);
  return NULL;
}

enum { THREADS = 8 };

static void threads_and_contexts(const hoopauth_client_t *client)
{
  hoopauth_request_t *request = request_of(client, "GET", "/echo/");
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++) {
    CHECK(pthread_create(&threads[i], NULL, send_one, request) == 0);
  }
  for (int i = 0; i < THREADS; i++) {
    pthread_join(threads[i], NULL);
  }
  hoopauth_context_t *context = NULL;
  hoopauth_response_t *response = (hoopauth_response_t *)1;
  OK(hoopauth_context_new(60, &context, &err));
  tell("hold", "{\"endpoint\":\"api\"}");
  CHECK(pthread_create(&threads[0], NULL, cancel_once_held, context) == 0);
  FAILS(HOOPAUTH_CANCELLED, hoopauth_request_send(request, context, &response, &err));
  CHECK(response == NULL);
  pthread_join(threads[0], NULL);
  tell("release", "{}");
  hoopauth_context_free(context);
  OK(hoopauth_context_new(60, &context, &err));
  OK(hoopauth_request_send(request, context, &response, &err));
  hoopauth_response_free(response);
  hoopauth_context_free(context);
  hoopauth_request_free(request);
}

static void limits(const hoopauth_client_t *client)
{
  hoopauth_account_t *account = account_of(client, LOCATION),
                     *none = account_of(client, "location:nobodyAsked");
  /* As an older and as a later program has it. */
  struct {
    hoopauth_rate_limit_t known;
    int64_t later;
  } limit;
  memset(&limit, 0x55, sizeof limit);
  limit.known.struct_size = sizeof limit;
  bool found = true;
  OK(hoopauth_client_rate_limit(client, none, &limit.known, &found, &err));
  CHECK(!found && limit.known.limit == -1 && limit.known.remaining == -1 &&
        limit.known.interval < 0);
  CHECK(limit.known.daily_limit == -1 && limit.known.daily_remaining == -1 &&
        limit.known.daily_reset_ms == -1);
  CHECK(limit.known.seen_at_ms == -1);
  OK(hoopauth_client_rate_limit(client, account, &limit.known, &found, &err));
  CHECK(found && limit.known.limit == 100 && limit.known.remaining >= 0 &&
        limit.known.remaining < 100);
  CHECK(limit.known.interval > 9.9 && limit.known.interval < 10.1 &&
        limit.known.daily_limit == 200000);
  CHECK(limit.known.daily_remaining < 200000 &&
        limit.known.daily_reset_ms > limit.known.seen_at_ms);
  CHECK(limit.known.struct_size == sizeof limit && limit.later == INT64_C(0x5555555555555555));
  limit.known.struct_size = sizeof limit.known - 1;
  FAILS(HOOPAUTH_INVALID_ARGUMENT,
        hoopauth_client_rate_limit(client, account, &limit.known, &found, &err));
  /* The default account. */
  limit.known.struct_size = sizeof limit.known;
  OK(hoopauth_client_rate_limit(client, NULL, &limit.known, &found, &err));
  CHECK(found && limit.known.limit == 100);
  hoopauth_account_free(none);
  hoopauth_account_free(account);
}

static void operations(void)
{
  hoopauth_operation_t *operation = NULL;
  size_t len = 0;
  OK(hoopauth_operation_find("get", NUL, "/contacts/abc?x=1", NUL, &operation, &err));
  CHECK(operation != NULL);
  const char *text = hoopauth_operation_method(operation, &len);
  is_text(text, len, "GET");
  text = hoopauth_operation_path(operation, &len);
  is_text(text, len, "/contacts/{contactId}");
  text = hoopauth_operation_version(operation, &len);
  is_text(text, len, "2021-07-28");
  text = hoopauth_operation_scope(operation, &len);
  is_text(text, len, HOOPAUTH_SCOPE_CONTACTS_READONLY);
  CHECK(hoopauth_operation_allows_location(operation) &&
        !hoopauth_operation_allows_company(operation));
  CHECK(hoopauth_operation_allows_private_integration(operation));
  hoopauth_operation_free(operation);
  operation = (hoopauth_operation_t *)1;
  OK(hoopauth_operation_find("GET", NUL, "/no/such/operation", NUL, &operation, &err));
  CHECK(operation == NULL);

  static const char *const list[] = {"POST /contacts/", "GET /contacts/{contactId}",
                                     "get /contacts/abc"};
  hoopauth_text_t *scopes = NULL;
  OK(hoopauth_scopes_for(list, 3, &scopes, &err));
  text = hoopauth_text_data(scopes, &len);
  is_text(text, len, HOOPAUTH_SCOPE_CONTACTS_READONLY " " HOOPAUTH_SCOPE_CONTACTS_WRITE);
  hoopauth_text_free(scopes);
  OK(hoopauth_scopes_for(NULL, 0, &scopes, &err));
  text = hoopauth_text_data(scopes, &len);
  is_text(text, len, "");
  hoopauth_text_free(scopes);
  static const char *const unknown[] = {"GET /no/such/operation", NULL, "\xff"};
  hoopauth_error_t *error = NULL;
  CHECK(hoopauth_scopes_for(unknown, 1, &scopes, &error) == HOOPAUTH_INVALID_ARGUMENT &&
        scopes == NULL);
  CHECK(strstr(hoopauth_error_message(error, NULL), "/no/such/operation") != NULL);
  hoopauth_error_free(error);
  FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_scopes_for(unknown + 1, 1, &scopes, &err));
  FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_scopes_for(unknown + 2, 1, &scopes, &err));
}

/* A report that knows what was sent names what the operation needs. */
static void reports_with_method_and_path(const hoopauth_client_t *client)
{
  hoopauth_headers_t *headers = NULL, *repeat = (hoopauth_headers_t *)1;
  static const char refusal[] =
      "{\"statusCode\":401,\"message\":\"The token is not authorized for this scope.\"}";
  OK(hoopauth_client_headers_by_name(client, LOCATION, NUL, "GET", NUL, NULL, &headers, &err));
  hoopauth_context_t *context = NULL;
  OK(hoopauth_context_new(60, &context, &err));
  for (int i = 0; i < 2; i++) {
    hoopauth_error_t *error = NULL;
    CHECK(hoopauth_client_report_request(client, headers, "GET", NUL, "/contacts/abc", NUL, 401,
                                         NULL, 0, (const uint8_t *)refusal, strlen(refusal),
                                         i ? context : NULL, &repeat,
                                         &error) == HOOPAUTH_INSUFFICIENT_SCOPE);
    CHECK(repeat == NULL &&
          strstr(hoopauth_error_message(error, NULL), HOOPAUTH_SCOPE_CONTACTS_READONLY) != NULL);
    hoopauth_error_free(error);
  }
  OK(hoopauth_client_report_request(client, headers, "GET", NUL, "/contacts/abc", NUL, 200, NULL, 0,
                                    NULL, 0, NULL, &repeat, &err));
  CHECK(repeat == NULL);
  hoopauth_context_free(context);
  hoopauth_headers_free(headers);
}

typedef struct {
  int calls, last;
  uint64_t minted, kept, failed;
} progress_t;

static int32_t note_progress(void *user_data, const hoopauth_mint_progress_t *progress)
{
  progress_t *seen = user_data;
  CHECK(progress->struct_size == sizeof *progress && progress->error == NULL);
  CHECK(strlen(progress->account) == progress->account_len &&
        strncmp(progress->account, "location:", 9) == 0);
  seen->calls++;
  seen->minted = progress->minted;
  seen->kept = progress->kept;
  seen->failed = progress->failed;
  return seen->last == 0 || seen->calls < seen->last;
}

static void all_locations_of_a_company(void)
{
  hoopauth_client_t *client = client_of(app_config());
  hoopauth_account_t *company = account_of(client, COMPANY),
                     *location = account_of(client, LOCATION);
  hoopauth_installed_locations_t *locations = (hoopauth_installed_locations_t *)1;
  FAILS(HOOPAUTH_NO_GRANT,
        hoopauth_client_installed_locations(client, company, NULL, &locations, &err));
  FAILS(HOOPAUTH_INVALID_ARGUMENT,
        hoopauth_client_installed_locations(client, location, NULL, &locations, &err));
  CHECK(locations == NULL);
  import(client, COMPANY, FAR);
  OK(hoopauth_client_installed_locations(client, company, NULL, &locations, &err));
  CHECK(hoopauth_installed_locations_count(locations) == 3);
  size_t len = 0;
  for (size_t i = 0; i < 3; i++) {
    char expected[40];
    snprintf(expected, sizeof expected, "location:hoopLocation0000000%d", (int)i + 1);
    is_text(hoopauth_installed_locations_account(locations, i, NULL), strlen(expected), expected);
    CHECK(hoopauth_installed_locations_name(locations, i, &len) != NULL && len > 0);
    CHECK(hoopauth_installed_locations_is_installed(locations, i));
  }
  CHECK(hoopauth_installed_locations_account(locations, 3, &len) == NULL && len == 0);
  CHECK(hoopauth_installed_locations_name(locations, 3, &len) == NULL);
  CHECK(!hoopauth_installed_locations_is_installed(locations, 3));
  hoopauth_installed_locations_free(locations);

  /* One at a time; ended after the first; then the rest. */
  hoopauth_mint_summary_t summary;
  memset(&summary, 0xff, sizeof summary);
  summary.struct_size = sizeof summary;
  progress_t seen = {0, 1, 0, 0, 0};
  OK(hoopauth_client_mint_all(client, company, note_progress, &seen, NULL, &summary, &err));
  CHECK(seen.calls == 1 && summary.minted == 1 && summary.kept == 0 && summary.failed == 0);
  progress_t rest = {0, 0, 0, 0, 0};
  hoopauth_context_t *context = NULL;
  OK(hoopauth_context_new(60, &context, &err));
  OK(hoopauth_client_mint_all(client, company, note_progress, &rest, context, &summary, &err));
  CHECK(rest.calls == 3 && rest.minted == 2 && rest.kept == 1);
  CHECK(summary.minted == 2 && summary.kept == 1 && summary.failed == 0);
  OK(hoopauth_client_mint_all(client, company, NULL, NULL, NULL, NULL, &err));

  hoopauth_context_free(context);
  FAILS(HOOPAUTH_INVALID_ARGUMENT,
        hoopauth_client_mint_all(client, location, NULL, NULL, NULL, NULL, &err));
  summary.struct_size = 3;
  FAILS(HOOPAUTH_INVALID_ARGUMENT,
        hoopauth_client_mint_all(client, company, NULL, NULL, NULL, &summary, &err));
  hoopauth_account_free(location);
  hoopauth_account_free(company);
  OK(hoopauth_client_close(client, &err));
  hoopauth_client_free(client);
}

static void *cancel_once_minting(void *context)
{
  wait_held("location_token", 1);
  OK(hoopauth_context_cancel(context, &err));
  return NULL;
}

/* Whoever left is not called any more: what its callback needs is gone when the call returns. */
static void nobody_is_called_who_left(void)
{
  hoopauth_client_t *client = client_of(app_config());
  hoopauth_account_t *company = account_of(client, COMPANY);
  hoopauth_context_t *context = NULL;
  hoopauth_mint_summary_t summary;
  memset(&summary, 0xff, sizeof summary);
  summary.struct_size = sizeof summary;
  import(client, COMPANY, FAR);
  OK(hoopauth_context_new(60, &context, &err));
  tell("hold", "{\"endpoint\":\"location_token\"}");
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, cancel_once_minting, context) == 0);
  progress_t *left = malloc(sizeof *left);
  memset(left, 0, sizeof *left);
  FAILS(HOOPAUTH_CANCELLED,
        hoopauth_client_mint_all(client, company, note_progress, left, context, &summary, &err));
  CHECK(left->calls == 0 && summary.minted == 0 && summary.kept == 0 && summary.failed == 0);
  free(left);
  pthread_join(thread, NULL);
  tell("release", "{}");
  /* Waits for what goes on without its caller: the location under way, and none after it. */
  OK(hoopauth_client_close(client, &err));
  hoopauth_context_free(context);
  hoopauth_account_free(company);
  hoopauth_client_free(client);
}

static hoopauth_status_t echo_bytes(void *user_data, const hoopauth_transport_request_t *request,
                                    hoopauth_transport_response_t *response,
                                    hoopauth_failure_t *failure)
{
  size_t len = 0;
  const char *body = hoopauth_transport_request_body(request, &len);
  (void)user_data, (void)failure;
  CHECK(body[len] == '\0');
  OK(hoopauth_transport_response_set_status(response, 200, &err));
  OK(hoopauth_transport_response_append_body(response, (const uint8_t *)body, len, &err));
  return HOOPAUTH_OK;
}

/* Bodies are bytes: NULs, and what is no UTF-8, there and back, by a transport of the host's. */
static void bodies_of_any_bytes(void)
{
  static const uint8_t bytes[] = {'a', 0, 0xff, 0xfe, 0, 'z', 0};
  hoopauth_config_t *config = NULL;
  hoopauth_transport_callbacks_t table;
  memset(&table, 0, sizeof table);
  table.struct_size = sizeof table;
  table.send = echo_bytes;
  OK(hoopauth_config_new(&config, &err));
  set_option(config, "access_token", "a-token");
  OK(hoopauth_config_set_transport(config, &table, &err));
  hoopauth_client_t *client = client_of(config);
  hoopauth_request_t *request = request_of(client, "POST", "/upload");
  hoopauth_response_t *response = NULL;
  /* What is too long is not looked at. */
  FAILS(HOOPAUTH_INVALID_ARGUMENT,
        hoopauth_request_set_body(request, bytes, ((size_t)512 << 20) + 1, &err));
  OK(hoopauth_request_set_body(request, bytes, sizeof bytes, &err));
  hoopauth_client_free(client);
  OK(hoopauth_request_send(request, NULL, &response, &err));
  size_t len = 0;
  const char *body = hoopauth_response_body(response, &len);
  CHECK(len == sizeof bytes && memcmp(body, bytes, len) == 0 && body[len] == '\0');
  hoopauth_response_free(response);
  OK(hoopauth_request_set_body(request, NULL, 0, &err));
  OK(hoopauth_request_send(request, NULL, &response, &err));
  body = hoopauth_response_body(response, &len);
  is_text(body, len, "");
  hoopauth_response_free(response);
  hoopauth_request_free(request);
}

static void the_other_private_integration_token(void)
{
  hoopauth_config_t *config = NULL;
  OK(hoopauth_config_new(&config, &err));
  set_option(config, "private_integration_token", "pit-10ca7100-0000-4000-8000-000000000009");
  set_option(config, "private_integration_token_next", setting("TEST_PIT"));
  set_option(config, "api_base", setting("TEST_API"));
  hoopauth_client_t *client = client_of(config);
  size_t len = 7;
  CHECK(hoopauth_client_refused_private_integration_token(client, &len) == NULL && len == 0);
  hoopauth_request_t *request = request_of(client, "GET", "/locations/hoopLocation00000001");
  hoopauth_response_t *response = NULL;
  OK(hoopauth_request_send(request, NULL, &response, &err));
  hoopauth_response_free(response);
  hoopauth_request_free(request);
  const char *refused = hoopauth_client_refused_private_integration_token(client, &len);
  is_text(refused, len, "private_integration_token");
  hoopauth_client_free(client);
}

int main(void)
{
  hoopauth_config_t *config = app_config();
  set_option(config, "default_account", LOCATION);
  hoopauth_client_t *client = client_of(config);
  import(client, LOCATION, FAR);
  everything_of_a_request(client);
  what_is_no_request(client);
  answers_that_are_errors(client);
  threads_and_contexts(client);
  limits(client);
  reports_with_method_and_path(client);
  OK(hoopauth_client_close(client, &err));
  hoopauth_client_free(client);
  operations();
  all_locations_of_a_company();
  nobody_is_called_who_left();
  bodies_of_any_bytes();
  the_other_private_integration_token();
  return 0;
}
