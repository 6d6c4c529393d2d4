/* The main job in C, against a local HoopAI: a login, API calls, an expiry, and on it goes. Exits
 * with 1 if anything is off.
 *
 * cc -std=c11 -D_DEFAULT_SOURCE demo.c -o demo -lhoopauth -lcurl
 * ../with_emulator.sh ./demo
 */
#include "http.h"

#define NUL HOOPAUTH_NUL_TERMINATED
#define LOCATION "hoopLocation00000001"

static void expect(const char *what, int held)
{
  if (held)
    return;
  fprintf(stderr, "this did not hold: %s\n", what);
  exit(1);
}

static const char *variable(const char *name)
{
  const char *value = getenv(name);
  if (!value)
    fprintf(stderr, "%s is not set: start this with examples/with_emulator.sh\n", name);
  if (!value)
    exit(1);
  return value;
}

static struct answer call(const hoopauth_headers_t *headers)
{
  char url[512];
  snprintf(url, sizeof url, "%s/locations/" LOCATION, variable("HOOPAUTH_API_BASE"));
  return http_send("GET", url, headers, NULL);
}

/* The status of an API call with these headers. */
static long call_status(const hoopauth_headers_t *headers)
{
  struct answer answer = call(headers);
  answer_free(&answer);
  return answer.status;
}

/* Tells the local HoopAI to do something to the location. */
static struct answer control(const char *method, const char *what)
{
  char url[512];
  snprintf(url, sizeof url, "%s/%s", variable("EMULATOR_CONTROL"), what);
  return http_send(method, url, NULL,
                   strcmp(method, "POST") == 0 ? "{\"account\":\"location:" LOCATION "\"}" : NULL);
}

/* A client with these options, and the local HoopAI's addresses from the environment. */
static hoopauth_client_t *client_with(const char *const (*options)[2])
{
  hoopauth_error_t *err = NULL;
  hoopauth_config_t *config = NULL;
  hoopauth_client_t *client = NULL;
  must(hoopauth_config_new(&config, &err), &err);
  must(hoopauth_config_use_environment(config, &err), &err);
  for (; (*options)[0]; options++)
    must(hoopauth_config_set(config, (*options)[0], NUL, (*options)[1], NUL, &err), &err);
  must(hoopauth_client_new(config, &client, &err), &err);
  hoopauth_config_free(config);
  return client;
}

int main(void)
{
  static const char *const integration[][2] = {
      {"private_integration_token", "pit-10ca7100-0000-4000-8000-000000000001"}, {NULL, NULL}};
  static const char *const app[][2] = {{"client_id", "65f0a1b2c3d4e5f607182930-hoopdev1"},
                                       {"client_secret", "3f9c2d1e-7b54-4a60-9d8e-1f2a3b4c5d6e"},
                                       {"redirect_uri", "https://app.example/callback"},
                                       {"scopes", "contacts.readonly locations.readonly"},
                                       {"store", "memory:"},
                                       {NULL, NULL}};
  hoopauth_error_t *err = NULL;
  hoopauth_headers_t *headers = NULL, *repeat = NULL;
  hoopauth_pending_authorization_t *pending = NULL;
  hoopauth_account_t *account = NULL, *again = NULL;
  struct answer answer;
  char url[2048];

  printf("1. a local HoopAI listens at %s\n", variable("HOOPAUTH_API_BASE"));
  hoopauth_client_t *simple = client_with(integration);
  must(hoopauth_client_headers(simple, NULL, "GET", NUL, NULL, &headers, &err), &err);
  expect("a Private Integration token calls the API", call_status(headers) == 200);
  printf("2. a Private Integration token calls the API: 200\n");
  hoopauth_headers_free(headers);
  hoopauth_client_free(simple);

  hoopauth_client_t *client = client_with(app);
  must(hoopauth_client_begin(client, NULL, &pending, &err), &err);
  answer = http_send("GET", hoopauth_pending_authorization_url(pending, NULL), NULL, NULL);
  expect("the authorization page asks the user", answer.body && strstr(answer.body, "Approve"));
  printf("3. the authorization page asks the user to approve (%zu bytes of HTML)\n",
         answer.body_len);
  answer_free(&answer);

  snprintf(url, sizeof url, "%s&approve=location:" LOCATION,
           hoopauth_pending_authorization_url(pending, NULL));
  answer = http_send("GET", url, NULL, NULL);
  expect("the page sends the browser back", answer.location != NULL);
  must(hoopauth_client_complete(client, pending, answer.location, NUL, NULL, &account, &err), &err);
  const char *name = hoopauth_account_name(account, NULL);
  expect("the account is the chosen one", strcmp(name, "location:" LOCATION) == 0);
  printf("4. the code is exchanged; %s is authorized\n", name);
  hoopauth_status_t status =
      hoopauth_client_complete(client, pending, answer.location, NUL, NULL, &again, NULL);
  expect("a used redirect is refused", status == HOOPAUTH_STATE_MISMATCH);
  printf("5. the same redirect a second time is refused: %s\n", hoopauth_status_name(status));
  answer_free(&answer);
  hoopauth_pending_authorization_free(pending);

  must(hoopauth_client_headers(client, account, "GET", NUL, NULL, &headers, &err), &err);
  expect("the API accepts the token", call_status(headers) == 200);
  printf("6. the API answers 200\n");

  answer = control("POST", "expire");
  answer_free(&answer);
  answer = call(headers);
  expect("the expired token is refused", answer.status == 401);
  printf("7. the token expires: the API answers %ld\n", answer.status);
  must(hoopauth_client_report(client, headers, (uint16_t)answer.status, NULL, 0,
                              (const uint8_t *)answer.body, answer.body_len, NULL, &repeat, &err),
       &err);
  answer_free(&answer);
  expect("the report leads to a refresh", repeat != NULL);
  expect("the refreshed token works", call_status(repeat) == 200);
  answer = control("GET", "statistics");
  expect("it was refreshed once", answer.body && strstr(answer.body, "\"rotations\":1,"));
  answer_free(&answer);
  printf("8. hoopauth refreshes it, once, and the API answers 200\n");
  hoopauth_headers_free(headers);
  headers = repeat;

  answer = control("POST", "uninstall");
  answer_free(&answer);
  answer = call(headers);
  status =
      hoopauth_client_report(client, headers, (uint16_t)answer.status, NULL, 0,
                             (const uint8_t *)answer.body, answer.body_len, NULL, &repeat, NULL);
  expect("an uninstalled app asks for authorization", status == HOOPAUTH_REAUTHORIZATION_REQUIRED);
  printf("9. the user uninstalls the app: %s\n", hoopauth_status_name(status));
  answer_free(&answer);

  hoopauth_headers_free(headers);
  hoopauth_account_free(account);
  hoopauth_client_free(client);
  printf("all of it as it should be\n");
  return 0;
}
