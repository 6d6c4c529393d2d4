/* The C runner of the conformance cases: cases <file of cases>...
 * HOOPAUTH_EMULATOR is the emulator's program, else target/ci/hoopauth-emulator. */
#define _GNU_SOURCE
#include <cjson/cJSON.h>
#include <curl/curl.h>
#include <hoopauth.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define NUL HOOPAUTH_NUL_TERMINATED

/* The clock of the client, which goes when it is told. */
struct manual_clock {
  int64_t now_ms;
  int64_t passed_ms;
};

/* A verifier of a case, kept until it ends. */
struct verifier {
  char *name;                       /* its options and keys */
  const hoopauth_client_t *client;  /* whose it is */
  hoopauth_webhook_verifier_t *raw; /* what was made of them */
  struct verifier *next;
};

/* What a case is played with. */
struct player {
  pid_t emulator;
  int emulator_stdin;
  cJSON *addresses;
  struct manual_clock clock;
  hoopauth_client_t *client;
  hoopauth_client_t *other;                  /* on the same store */
  char folder[40];                           /* of the store */
  hoopauth_pending_authorization_t *pending; /* of the last login */
  char *redirect;                            /* of the last login */
  hoopauth_grant_t *grant;                   /* that was imported last */
  struct verifier *verifiers;
  cJSON *webhook;          /* that came last: headers and body */
  hoopauth_error_t *error; /* with which the step failed */
  char why[1024];          /* why the case does not hold; empty: it holds */
};

struct answer {
  long status;
  char *body;
  size_t body_len;
  char *location;
};

static void fail(struct player *player, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void fail(struct player *player, const char *format, ...)
{
  va_list arguments;
  if (player->why[0])
    return; /* the first reason counts */
  va_start(arguments, format);
  vsnprintf(player->why, sizeof player->why, format, arguments);
  va_end(arguments);
}

/* ---- HTTP ---- */

static size_t take_body(char *data, size_t unit, size_t size, void *into)
{
  struct answer *answer = into;
  char *longer = realloc(answer->body, answer->body_len + size + 1);
  (void)unit;
  if (!longer)
    return 0;
  answer->body = longer;
  memcpy(answer->body + answer->body_len, data, size);
  answer->body_len += size;
  answer->body[answer->body_len] = '\0';
  return size;
}

/* Sends a request, with headers if there are any, and with a body if there is one. Redirects are
 * not followed. */
static struct answer http(struct player *player, const char *method, const char *url,
                          const hoopauth_headers_t *headers, const char *body)
{
  struct answer answer = {0, NULL, 0, NULL};
  struct curl_slist *list = NULL;
  const char *location = NULL;
  CURL *curl = curl_easy_init();
  for (size_t i = 0; i < hoopauth_headers_count(headers); i++) {
    hoopauth_header_t header;
    char *line;
    if (hoopauth_headers_at(headers, i, &header, NULL) != HOOPAUTH_OK)
      break;
    if (asprintf(&line, "%s: %s", header.name, header.value) < 0)
      break;
    list = curl_slist_append(list, line);
    free(line);
  }
  curl_easy_setopt(curl, CURLOPT_URL, url);
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
  curl_easy_setopt(curl, CURLOPT_PROXY, "");
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
  if (body)
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
  CURLcode sent = curl_easy_perform(curl);
  if (sent != CURLE_OK)
    fail(player, "%s %s: %s", method, url, curl_easy_strerror(sent));
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
  if (curl_easy_getinfo(curl, CURLINFO_REDIRECT_URL, &location) == CURLE_OK && location) {
    answer.location = strdup(location);
  }
  curl_slist_free_all(list);
  curl_easy_cleanup(curl);
  return answer;
}

static void answer_free(struct answer *answer)
{
  free(answer->body);
  free(answer->location);
}

static const char *address(struct player *player, const char *name)
{
  const char *text =
      cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(player->addresses, name));
  return text ? text : "";
}

/* Calls the emulator's control API: GET where there is no body. The body is freed, the answer the
 * caller's. */
static cJSON *control(struct player *player, const char *call, cJSON *body)
{
  char url[256];
  char *text = body ? cJSON_PrintUnformatted(body) : NULL;
  snprintf(url, sizeof url, "%s/%s", address(player, "control"), call);
  struct answer answer = http(player, body ? "POST" : "GET", url, NULL, text);
  cJSON *json = answer.status == 200 ? cJSON_Parse(answer.body) : NULL;
  if (!json)
    fail(player, "control %s: %ld %s", call, answer.status, answer.body ? answer.body : "");
  answer_free(&answer);
  free(text);
  cJSON_Delete(body);
  return json;
}

/* As control, where the answer does not matter; the body has one member. */
static void tell(struct player *player, const char *call, const char *name, cJSON *value)
{
  cJSON *body = cJSON_CreateObject();
  cJSON_AddItemToObject(body, name, value);
  cJSON_Delete(control(player, call, body));
}

/* ---- The emulator's process ---- */

static void start(struct player *player)
{
  int in[2], out[2];
  char line[4096];
  size_t len = 0;
  posix_spawn_file_actions_t actions;
  char *program = getenv("HOOPAUTH_EMULATOR");
  if (!program)
    program = "target/ci/hoopauth-emulator";
  char *arguments[] = {program, NULL};
  if (pipe(in) != 0 || pipe(out) != 0) {
    fail(player, "no pipe");
    return;
  }
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
  posix_spawn_file_actions_addclose(&actions, in[0]);
  posix_spawn_file_actions_addclose(&actions, in[1]);
  posix_spawn_file_actions_addclose(&actions, out[0]);
  posix_spawn_file_actions_addclose(&actions, out[1]);
  if (posix_spawn(&player->emulator, program, &actions, NULL, arguments, environ) != 0)
    player->emulator = 0;
  posix_spawn_file_actions_destroy(&actions);
  close(in[0]);
  close(out[1]);
  player->emulator_stdin = in[1];
  while (len + 1 < sizeof line && read(out[0], line + len, 1) == 1 && line[len] != '\n')
    len++;
  line[len] = '\0';
  close(out[0]);
  player->addresses = cJSON_Parse(line);
  if (!player->addresses)
    fail(player, "the emulator does not start: %s", program);
}

/* It ends when its stdin closes. */
static void stop(struct player *player)
{
  close(player->emulator_stdin);
  if (player->emulator > 0)
    waitpid(player->emulator, NULL, 0);
  cJSON_Delete(player->addresses);
}

/* ---- The clock ---- */

static int64_t now_ms(void *user_data)
{
  struct manual_clock *clock = user_data;
  return clock->now_ms + clock->passed_ms;
}

static uint64_t monotonic_ms(void *user_data)
{
  struct manual_clock *clock = user_data;
  return 1 + (uint64_t)clock->passed_ms;
}

static void sleep_ms(void *user_data, uint64_t duration_ms)
{
  struct manual_clock *clock = user_data;
  clock->passed_ms += (int64_t)duration_ms;
}

static int64_t emulator_now(struct player *player)
{
  cJSON *clock = control(player, "clock", NULL);
  int64_t now = (int64_t)cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(clock, "now"));
  cJSON_Delete(clock);
  return now;
}

/* ---- Members of steps ---- */

/* Every member of object must be in known, a list that ends with NULL. */
static void only(struct player *player, const cJSON *object, const char *const *known)
{
  const cJSON *member;
  cJSON_ArrayForEach(member, object)
  {
    const char *const *name = known;
    while (*name && strcmp(*name, member->string) != 0)
      name++;
    if (!*name)
      fail(player, "unknown member %s", member->string);
  }
}

#define ONLY(player, step, ...)                                                                    \
  only(player, step, (const char *const[]){"do", "expect", __VA_ARGS__, NULL})

static const char *text(struct player *player, const cJSON *step, const char *name)
{
  const char *value = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(step, name));
  if (!value)
    fail(player, "%s is missing", name);
  return value ? value : "";
}

static bool flag(struct player *player, const cJSON *step, const char *name)
{
  const cJSON *value = cJSON_GetObjectItemCaseSensitive(step, name);
  if (value && !cJSON_IsBool(value))
    fail(player, "%s is true or false", name);
  return cJSON_IsTrue(value);
}

static void add_text(cJSON *outcome, const char *name, const char *value)
{
  cJSON_AddItemToObject(outcome, name, value ? cJSON_CreateString(value) : cJSON_CreateNull());
}

/* ---- Steps: each returns a status, and fills in its outcome ---- */

static hoopauth_account_t *account(struct player *player, const cJSON *step, const char *name)
{
  hoopauth_account_t *account = NULL;
  const char *id = text(player, step, name);
  if (hoopauth_client_account(player->client, id, NUL, &account, NULL) != HOOPAUTH_OK) {
    fail(player, "%s is no account", id);
  }
  return account;
}

static hoopauth_status_t headers_of(struct player *player, const cJSON *step, const char *method,
                                    hoopauth_headers_t **headers)
{
  if (!cJSON_HasObjectItem(step, "account")) {
    return hoopauth_client_headers(player->client, NULL, method, NUL, NULL, headers,
                                   &player->error);
  }
  return hoopauth_client_headers_by_name(player->client, text(player, step, "account"), NUL, method,
                                         NUL, NULL, headers, &player->error);
}

static hoopauth_status_t step_headers(struct player *player, const cJSON *step, cJSON *outcome)
{
  hoopauth_headers_t *headers = NULL;
  ONLY(player, step, "method", "account");
  hoopauth_status_t status = headers_of(player, step, text(player, step, "method"), &headers);
  add_text(outcome, "Authorization", hoopauth_headers_authorization(headers, NULL));
  add_text(outcome, "Version", hoopauth_headers_version(headers, NULL));
  add_text(outcome, "User-Agent", hoopauth_headers_user_agent(headers, NULL));
  add_text(outcome, "Content-Type", hoopauth_headers_content_type(headers, NULL));
  hoopauth_headers_free(headers);
  return status;
}

static hoopauth_status_t step_request(struct player *player, const cJSON *step, cJSON *outcome)
{
  hoopauth_headers_t *headers = NULL, *repeat = NULL;
  char url[512];
  ONLY(player, step, "account", "path", "report");
  hoopauth_status_t status = headers_of(player, step, "GET", &headers);
  if (status != HOOPAUTH_OK)
    return status;
  snprintf(url, sizeof url, "%s%s", address(player, "api"), text(player, step, "path"));
  struct answer answer = http(player, "GET", url, headers, NULL);
  if (flag(player, step, "report")) {
    status = hoopauth_client_report(player->client, headers, (uint16_t)answer.status, NULL, 0,
                                    (const uint8_t *)answer.body, answer.body_len, NULL, &repeat,
                                    &player->error);
    if (repeat) {
      answer_free(&answer);
      answer = http(player, "GET", url, repeat, NULL);
    }
  }
  cJSON_AddNumberToObject(outcome, "status", (double)answer.status);
  answer_free(&answer);
  hoopauth_headers_free(repeat);
  hoopauth_headers_free(headers);
  return status;
}

/* Adds what an object of texts holds to a request. */
static hoopauth_status_t add_pairs(struct player *player, hoopauth_request_t *request,
                                   const cJSON *step, const char *name, bool as_headers)
{
  const cJSON *object = cJSON_GetObjectItemCaseSensitive(step, name), *pair;
  hoopauth_status_t status = HOOPAUTH_OK;
  cJSON_ArrayForEach(pair, object)
  {
    const char *value = text(player, object, pair->string);
    if (status != HOOPAUTH_OK)
      break;
    status =
        as_headers
            ? hoopauth_request_add_header(request, pair->string, NUL, value, NUL, &player->error)
            : hoopauth_request_add_param(request, pair->string, NUL, value, NUL, &player->error);
  }
  return status;
}

static hoopauth_status_t fill_request(struct player *player, hoopauth_request_t *request,
                                      const cJSON *step)
{
  const cJSON *json = cJSON_GetObjectItemCaseSensitive(step, "json");
  char *body = json ? cJSON_PrintUnformatted(json) : NULL;
  hoopauth_status_t status = add_pairs(player, request, step, "params", false);
  if (status == HOOPAUTH_OK)
    status = add_pairs(player, request, step, "headers", true);
  if (status == HOOPAUTH_OK && cJSON_HasObjectItem(step, "account"))
    status =
        hoopauth_request_set_account(request, text(player, step, "account"), NUL, &player->error);
  if (status == HOOPAUTH_OK && cJSON_HasObjectItem(step, "version"))
    status =
        hoopauth_request_set_version(request, text(player, step, "version"), NUL, &player->error);
  if (cJSON_HasObjectItem(step, "body")) {
    free(body);
    body = strdup(text(player, step, "body"));
  }
  if (status == HOOPAUTH_OK && body)
    status =
        hoopauth_request_set_body(request, (const uint8_t *)body, strlen(body), &player->error);
  free(body);
  if (status == HOOPAUTH_OK)
    status =
        hoopauth_request_set_any_status(request, flag(player, step, "any_status"), &player->error);
  if (status == HOOPAUTH_OK)
    status =
        hoopauth_request_set_repeatable(request, flag(player, step, "repeatable"), &player->error);
  return status;
}

static hoopauth_status_t step_send(struct player *player, const cJSON *step, cJSON *outcome)
{
  hoopauth_request_t *request = NULL;
  hoopauth_response_t *response = NULL;
  const cJSON *expected, *wanted;
  ONLY(player, step, "method", "path", "account", "params", "json", "body", "headers", "version",
       "any_status", "repeatable");
  hoopauth_status_t status =
      hoopauth_client_request(player->client, text(player, step, "method"), NUL,
                              text(player, step, "path"), NUL, &request, &player->error);
  if (status == HOOPAUTH_OK)
    status = fill_request(player, request, step);
  if (status == HOOPAUTH_OK)
    status = hoopauth_request_send(request, NULL, &response, &player->error);
  size_t len = 0;
  const char *body = hoopauth_response_body(response, &len);
  cJSON *json = body ? cJSON_ParseWithLength(body, len) : NULL;
  cJSON_AddNumberToObject(outcome, "status", hoopauth_response_status(response));
  cJSON_AddItemToObject(outcome, "body", json ? json : cJSON_CreateNull());
  cJSON *headers = cJSON_AddObjectToObject(outcome, "header");
  expected =
      cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(step, "expect"), "header");
  cJSON_ArrayForEach(wanted, expected)
  {
    add_text(headers, wanted->string,
             hoopauth_response_header(response, wanted->string, NUL, NULL));
  }
  hoopauth_response_free(response);
  hoopauth_request_free(request);
  return status;
}

static void add_limit(cJSON *outcome, const char *name, int64_t value)
{
  cJSON_AddItemToObject(outcome, name,
                        value < 0 ? cJSON_CreateNull() : cJSON_CreateNumber((double)value));
}

static hoopauth_status_t step_rate_limit(struct player *player, const cJSON *step, cJSON *outcome)
{
  hoopauth_rate_limit_t limit = {0};
  bool found = false;
  ONLY(player, step, "account");
  limit.struct_size = sizeof limit;
  hoopauth_account_t *whose = account(player, step, "account");
  hoopauth_status_t status =
      hoopauth_client_rate_limit(player->client, whose, &limit, &found, &player->error);
  cJSON_AddBoolToObject(outcome, "known", found);
  if (found) {
    add_limit(outcome, "limit", limit.limit);
    add_limit(outcome, "remaining", limit.remaining);
    add_limit(outcome, "daily_limit", limit.daily_limit);
    add_limit(outcome, "daily_remaining", limit.daily_remaining);
  }
  hoopauth_account_free(whose);
  return status;
}

static hoopauth_status_t step_scopes_for(struct player *player, const cJSON *step, cJSON *outcome)
{
  const char *list[50];
  size_t count = 0;
  const cJSON *operation, *operations = cJSON_GetObjectItemCaseSensitive(step, "operations");
  hoopauth_text_t *found = NULL;
  ONLY(player, step, "operations");
  if (!cJSON_IsArray(operations))
    fail(player, "operations is missing");
  cJSON_ArrayForEach(operation, operations)
  {
    if (!cJSON_IsString(operation) || count == sizeof list / sizeof *list)
      return fail(player, "operations is a list of some texts"), HOOPAUTH_OK;
    list[count++] = operation->valuestring;
  }
  hoopauth_status_t status = hoopauth_scopes_for(list, count, &found, &player->error);
  cJSON *scopes = cJSON_AddArrayToObject(outcome, "scopes");
  char *rest = NULL, *all = strdup(found ? hoopauth_text_data(found, NULL) : "");
  for (char *one = strtok_r(all, " ", &rest); one; one = strtok_r(NULL, " ", &rest)) {
    cJSON_AddItemToArray(scopes, cJSON_CreateString(one));
  }
  free(all);
  hoopauth_text_free(found);
  return status;
}

static hoopauth_status_t step_installed_locations(struct player *player, const cJSON *step,
                                                  cJSON *outcome)
{
  hoopauth_installed_locations_t *locations = NULL;
  ONLY(player, step, "company");
  hoopauth_account_t *company = account(player, step, "company");
  hoopauth_status_t status = hoopauth_client_installed_locations(player->client, company, NULL,
                                                                 &locations, &player->error);
  cJSON *accounts = cJSON_AddArrayToObject(outcome, "accounts");
  for (size_t i = 0; i < hoopauth_installed_locations_count(locations); i++) {
    const char *name = hoopauth_installed_locations_account(locations, i, NULL);
    cJSON_AddItemToArray(accounts, cJSON_CreateString(name));
  }
  hoopauth_installed_locations_free(locations);
  hoopauth_account_free(company);
  return status;
}

static hoopauth_status_t step_mint_all(struct player *player, const cJSON *step, cJSON *outcome)
{
  hoopauth_mint_summary_t summary = {0};
  ONLY(player, step, "company");
  summary.struct_size = sizeof summary;
  hoopauth_account_t *company = account(player, step, "company");
  hoopauth_status_t status =
      hoopauth_client_mint_all(player->client, company, NULL, NULL, NULL, &summary, &player->error);
  cJSON_AddNumberToObject(outcome, "minted", (double)summary.minted);
  cJSON_AddNumberToObject(outcome, "kept", (double)summary.kept);
  cJSON_AddNumberToObject(outcome, "failed", (double)summary.failed);
  hoopauth_account_free(company);
  return status;
}

static hoopauth_status_t add_keys(struct player *player, hoopauth_webhook_config_t *config,
                                  const cJSON *keys)
{
  const cJSON *key;
  hoopauth_status_t status = HOOPAUTH_OK;
  cJSON_ArrayForEach(key, keys)
  {
    if (status == HOOPAUTH_OK)
      status = hoopauth_webhook_config_add_key(config, text(player, key, "scheme"), NUL,
                                               text(player, key, "label"), NUL,
                                               text(player, key, "key"), NUL, 0, 0, &player->error);
  }
  return status;
}

static hoopauth_status_t make_verifier(struct player *player, const cJSON *step,
                                       hoopauth_webhook_verifier_t **out)
{
  hoopauth_webhook_config_t *config = NULL;
  const cJSON *option, *options = cJSON_GetObjectItemCaseSensitive(step, "verifier");
  cJSON *own = flag(player, step, "emulator_keys") ? control(player, "webhooks/keys", NULL) : NULL;
  hoopauth_status_t status = hoopauth_webhook_config_new(&config, &player->error);
  cJSON_ArrayForEach(option, options)
  {
    const char *value = text(player, options, option->string);
    if (status == HOOPAUTH_OK)
      status = hoopauth_webhook_config_set(config, option->string, NUL, value, NUL, &player->error);
  }
  if (status == HOOPAUTH_OK)
    status = add_keys(player, config, cJSON_GetObjectItemCaseSensitive(step, "keys"));
  if (status == HOOPAUTH_OK)
    status = add_keys(player, config, cJSON_GetObjectItemCaseSensitive(own, "keys"));
  if (status == HOOPAUTH_OK)
    status = hoopauth_webhook_verifier_new(player->client, config, out, &player->error);
  hoopauth_webhook_config_free(config);
  cJSON_Delete(own);
  return status;
}

/* The verifier of a step: one for each set of options and keys of a client. */
static hoopauth_status_t verifier_of(struct player *player, const cJSON *step,
                                     hoopauth_webhook_verifier_t **out)
{
  static const char *const parts[] = {"verifier", "keys", "emulator_keys"};
  cJSON *all = cJSON_CreateArray();
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    const cJSON *part = cJSON_GetObjectItemCaseSensitive(step, parts[i]);
    cJSON_AddItemToArray(all, part ? cJSON_Duplicate(part, true) : cJSON_CreateNull());
  }
  char *name = cJSON_PrintUnformatted(all);
  cJSON_Delete(all);
  for (struct verifier *one = player->verifiers; one; one = one->next) {
    if (one->client == player->client && strcmp(one->name, name) == 0) {
      free(name);
      *out = one->raw;
      return HOOPAUTH_OK;
    }
  }
  hoopauth_status_t status = make_verifier(player, step, out);
  struct verifier *own = status == HOOPAUTH_OK ? malloc(sizeof *own) : NULL;
  if (!own) {
    free(name);
    return status;
  }
  own->name = name;
  own->client = player->client;
  own->raw = *out;
  own->next = player->verifiers;
  player->verifiers = own;
  return status;
}

static void verifiers_free(struct player *player)
{
  while (player->verifiers) {
    struct verifier *own = player->verifiers;
    player->verifiers = own->next;
    hoopauth_webhook_verifier_free(own->raw);
    free(own->name);
    free(own);
  }
}

/* What comes: signed by the emulator, as the step says, or once more what came last. */
static void take_webhook(struct player *player, const cJSON *step)
{
  const cJSON *sign = cJSON_GetObjectItemCaseSensitive(step, "sign");
  if (flag(player, step, "again"))
    return;
  cJSON_Delete(player->webhook);
  if (sign) {
    player->webhook = control(player, "webhooks/sign", cJSON_Duplicate(sign, true));
    return;
  }
  player->webhook = cJSON_CreateObject();
  cJSON *headers = cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(step, "headers"), true);
  if (headers)
    cJSON_AddItemToObject(player->webhook, "headers", headers);
  cJSON_AddStringToObject(player->webhook, "body", text(player, step, "body"));
}

static hoopauth_status_t verify(struct player *player, const hoopauth_webhook_verifier_t *verifier,
                                hoopauth_webhook_delivery_t **delivery)
{
  hoopauth_header_t headers[20];
  size_t count = 0;
  const cJSON *pair, *pairs = cJSON_GetObjectItemCaseSensitive(player->webhook, "headers");
  if (!cJSON_IsArray(pairs))
    return fail(player, "headers is missing"), HOOPAUTH_OK;
  cJSON_ArrayForEach(pair, pairs)
  {
    hoopauth_header_t header = {cJSON_GetStringValue(cJSON_GetArrayItem(pair, 0)), NUL,
                                cJSON_GetStringValue(cJSON_GetArrayItem(pair, 1)), NUL};
    if (!header.name || !header.value || count == sizeof headers / sizeof *headers)
      return fail(player, "headers is a list of some pairs"), HOOPAUTH_OK;
    headers[count++] = header;
  }
  const char *body = text(player, player->webhook, "body");
  return hoopauth_webhook_verifier_verify(verifier, headers, count, (const uint8_t *)body,
                                          strlen(body), NULL, delivery, &player->error);
}

/* Deliveries that nobody gives back, as those of a process that ended. */
static hoopauth_webhook_delivery_t *left[100];

static hoopauth_status_t end_delivery(struct player *player, const cJSON *step,
                                      hoopauth_webhook_delivery_t *delivery, cJSON *outcome)
{
  const char *then = cJSON_HasObjectItem(step, "then") ? text(player, step, "then") : "confirm";
  hoopauth_status_t status = HOOPAUTH_OK;
  int32_t applied = 0;
  if (strcmp(then, "leave") == 0) {
    static size_t count = 0;
    if (count == sizeof left / sizeof *left)
      return fail(player, "too many deliveries are left"), HOOPAUTH_OK;
    left[count++] = delivery;
    return HOOPAUTH_OK;
  }
  if (strcmp(then, "apply") == 0) {
    status = hoopauth_client_apply(player->client, delivery, NULL, &applied, &player->error);
    add_text(outcome, "applied", hoopauth_applied_name(applied));
  }
  if (strcmp(then, "release") == 0) {
    status = hoopauth_webhook_delivery_release(delivery, NULL, &player->error);
  } else if (strcmp(then, "confirm") != 0 && strcmp(then, "apply") != 0) {
    fail(player, "unknown end %s", then);
  } else if (status == HOOPAUTH_OK) {
    status = hoopauth_webhook_delivery_confirm(delivery, NULL, &player->error);
  }
  hoopauth_webhook_delivery_free(delivery);
  return status;
}

static hoopauth_status_t step_webhook(struct player *player, const cJSON *step, cJSON *outcome)
{
  hoopauth_webhook_verifier_t *verifier = NULL;
  hoopauth_webhook_delivery_t *delivery = NULL;
  ONLY(player, step, "verifier", "keys", "emulator_keys", "headers", "body", "sign", "again",
       "then");
  take_webhook(player, step);
  hoopauth_status_t status = verifier_of(player, step, &verifier);
  if (status == HOOPAUTH_OK)
    status = verify(player, verifier, &delivery);
  if (status != HOOPAUTH_OK || !delivery)
    return status;
  add_text(outcome, "type", hoopauth_webhook_delivery_type(delivery, NULL));
  add_text(outcome, "webhook_id", hoopauth_webhook_delivery_id(delivery, NULL));
  add_text(outcome, "account", hoopauth_webhook_delivery_account(delivery, NULL));
  add_text(outcome, "app_id", hoopauth_webhook_delivery_app_id(delivery, NULL));
  add_text(outcome, "key", hoopauth_webhook_delivery_key(delivery, NULL));
  return end_delivery(player, step, delivery, outcome);
}

static hoopauth_status_t step_revoke_key(struct player *player, const cJSON *step, cJSON *outcome)
{
  (void)outcome;
  ONLY(player, step, "token");
  tell(player, "private-integrations/revoke", "token",
       cJSON_CreateString(text(player, step, "token")));
  return HOOPAUTH_OK;
}

static hoopauth_status_t begin(struct player *player, const cJSON *step)
{
  hoopauth_authorization_request_t *request = NULL;
  hoopauth_text_t *sealed = NULL;
  bool pkce = flag(player, step, "pkce");
  hoopauth_status_t status =
      hoopauth_client_authorization_request(player->client, &request, &player->error);
  if (status != HOOPAUTH_OK)
    return status;
  hoopauth_pending_authorization_free(player->pending);
  hoopauth_authorization_request_set_pkce(request, pkce, NULL);
  status = hoopauth_client_begin(player->client, request, &player->pending, &player->error);
  hoopauth_authorization_request_free(request);
  if (status != HOOPAUTH_OK)
    return status;
  const char *url = hoopauth_pending_authorization_url(player->pending, NULL);
  if (!strstr(url, "code_challenge_method=S256") == pkce)
    fail(player, "the challenge is not as the case says");
  if (flag(player, step, "sealed")) {
    status = hoopauth_client_seal_pending(player->client, player->pending, &sealed, &player->error);
    hoopauth_pending_authorization_free(player->pending);
    player->pending = NULL;
    if (status != HOOPAUTH_OK)
      return status;
    const char *cookie = hoopauth_text_data(sealed, NULL);
    status =
        hoopauth_client_open_pending(player->client, cookie, NUL, &player->pending, &player->error);
    hoopauth_text_free(sealed);
    if (status != HOOPAUTH_OK)
      return status;
  }
  return HOOPAUTH_OK;
}

/* Answers the page for the user. */
static void answer_page(struct player *player, const cJSON *step)
{
  char *url = NULL;
  const char *page = hoopauth_pending_authorization_url(player->pending, NULL);
  int made = flag(player, step, "deny")
                 ? asprintf(&url, "%s&deny=1", page)
                 : asprintf(&url, "%s&approve=%s", page, text(player, step, "account"));
  if (made < 0) {
    fail(player, "no memory");
    return;
  }
  struct answer answer = http(player, "GET", url, NULL, NULL);
  if (!answer.location)
    fail(player, "the page does not redirect: %ld", answer.status);
  free(player->redirect);
  player->redirect = answer.location;
  answer.location = NULL;
  answer_free(&answer);
  free(url);
}

static hoopauth_status_t step_login(struct player *player, const cJSON *step, cJSON *outcome)
{
  hoopauth_account_t *authorized = NULL;
  char *redirect = NULL;
  ONLY(player, step, "account", "pkce", "sealed", "deny", "state", "again");
  if (!flag(player, step, "again")) {
    hoopauth_status_t status = begin(player, step);
    if (status != HOOPAUTH_OK)
      return status;
    answer_page(player, step);
  }
  if (player->why[0] || !player->redirect)
    return fail(player, "no login is there"), HOOPAUTH_OK;
  if (cJSON_HasObjectItem(step, "state")) {
    const char *state = hoopauth_pending_authorization_state(player->pending, NULL);
    const char *at = strstr(player->redirect, state);
    if (strcmp(text(player, step, "state"), "wrong") != 0)
      fail(player, "unknown state");
    if (!at || asprintf(&redirect, "%.*swrong%s", (int)(at - player->redirect), player->redirect,
                        at + strlen(state)) < 0) {
      return fail(player, "the redirect has no state"), HOOPAUTH_OK;
    }
  }
  hoopauth_status_t status = hoopauth_client_complete(player->client, player->pending,
                                                      redirect ? redirect : player->redirect, NUL,
                                                      NULL, &authorized, &player->error);
  add_text(outcome, "account", hoopauth_account_name(authorized, NULL));
  hoopauth_account_free(authorized);
  free(redirect);
  return status;
}

/* A new live grant of the emulator's. */
static void issue(struct player *player, const char *name)
{
  hoopauth_error_t *err = NULL;
  cJSON *body = cJSON_CreateObject();
  cJSON_AddStringToObject(body, "account", name);
  cJSON *pair = control(player, "grants", body);
  double life = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(pair, "expires_in"));
  hoopauth_grant_free(player->grant);
  hoopauth_grant_new(name, NUL, text(player, pair, "access_token"), NUL, &player->grant, &err);
  hoopauth_grant_set_refresh_token(player->grant, text(player, pair, "refresh_token"), NUL, NULL);
  hoopauth_grant_set_company_id(player->grant, text(player, pair, "company_id"), NUL, NULL);
  hoopauth_grant_set_expires_at_ms(player->grant, (emulator_now(player) + (int64_t)life) * 1000,
                                   NULL);
  if (err)
    fail(player, "%s", hoopauth_error_message(err, NULL));
  hoopauth_error_free(err);
  cJSON_Delete(pair);
}

static hoopauth_status_t step_import(struct player *player, const cJSON *step, cJSON *outcome)
{
  int32_t kind = 0;
  ONLY(player, step, "account", "replace", "again");
  if (!flag(player, step, "again"))
    issue(player, text(player, step, "account"));
  hoopauth_status_t status = hoopauth_client_import(
      player->client, player->grant, flag(player, step, "replace"), NULL, &kind, &player->error);
  add_text(outcome, "outcome",
           kind == HOOPAUTH_IMPORT_IMPORTED ? "imported"
           : kind == HOOPAUTH_IMPORT_KNOWN  ? "known"
           : kind == HOOPAUTH_IMPORT_KEPT   ? "kept"
                                            : NULL);
  return status;
}

static hoopauth_status_t step_export(struct player *player, const cJSON *step, cJSON *outcome)
{
  hoopauth_grant_t *grant = NULL;
  ONLY(player, step, "account");
  hoopauth_account_t *whose = account(player, step, "account");
  hoopauth_status_t status =
      hoopauth_client_export(player->client, whose, NULL, &grant, &player->error);
  add_text(outcome, "account", hoopauth_grant_account(grant, NULL));
  add_text(outcome, "company_id", hoopauth_grant_company_id(grant, NULL));
  cJSON_AddBoolToObject(outcome, "minted", hoopauth_grant_is_minted(grant));
  hoopauth_grant_free(grant);
  hoopauth_account_free(whose);
  return status;
}

static hoopauth_status_t step_accounts(struct player *player, const cJSON *step, cJSON *outcome)
{
  hoopauth_accounts_t *accounts = NULL;
  ONLY(player, step, NULL);
  hoopauth_status_t status =
      hoopauth_client_accounts(player->client, NULL, &accounts, &player->error);
  cJSON *names = cJSON_AddArrayToObject(outcome, "accounts");
  for (size_t i = 0; i < hoopauth_accounts_count(accounts); i++) {
    cJSON_AddItemToArray(names, cJSON_CreateString(hoopauth_accounts_at(accounts, i, NULL)));
  }
  hoopauth_accounts_free(accounts);
  return status;
}

static hoopauth_status_t step_health(struct player *player, const cJSON *step, cJSON *outcome)
{
  hoopauth_health_t *health = NULL;
  ONLY(player, step, "account");
  hoopauth_account_t *whose = account(player, step, "account");
  hoopauth_status_t status =
      hoopauth_client_health(player->client, whose, NULL, &health, &player->error);
  int64_t days = hoopauth_health_idle_days_left(health);
  cJSON_AddBoolToObject(outcome, "needs_reauthorization",
                        hoopauth_health_needs_reauthorization(health));
  cJSON_AddBoolToObject(outcome, "unsaved", hoopauth_health_is_unsaved(health));
  cJSON_AddItemToObject(outcome, "idle_days_left",
                        days < 0 ? cJSON_CreateNull() : cJSON_CreateNumber((double)days));
  hoopauth_health_free(health);
  hoopauth_account_free(whose);
  return status;
}

static hoopauth_status_t step_mint(struct player *player, const cJSON *step, cJSON *outcome)
{
  (void)outcome;
  ONLY(player, step, "account", "company");
  hoopauth_account_t *location = account(player, step, "account"),
                     *company = account(player, step, "company");
  hoopauth_status_t status =
      hoopauth_client_mint(player->client, location, company, NULL, &player->error);
  hoopauth_account_free(location);
  hoopauth_account_free(company);
  return status;
}

static hoopauth_status_t step_remove(struct player *player, const cJSON *step, cJSON *outcome)
{
  bool removed = false;
  ONLY(player, step, "account");
  hoopauth_account_t *whose = account(player, step, "account");
  hoopauth_status_t status =
      hoopauth_client_remove(player->client, whose, NULL, &removed, &player->error);
  cJSON_AddBoolToObject(outcome, "removed", removed);
  hoopauth_account_free(whose);
  return status;
}

static hoopauth_status_t step_advance(struct player *player, const cJSON *step, cJSON *outcome)
{
  const cJSON *seconds = cJSON_GetObjectItemCaseSensitive(step, "seconds");
  (void)outcome;
  ONLY(player, step, "seconds");
  if (!cJSON_IsNumber(seconds))
    return fail(player, "seconds is missing"), HOOPAUTH_OK;
  player->clock.passed_ms += (int64_t)seconds->valuedouble * 1000;
  tell(player, "clock", "advance", cJSON_CreateNumber(seconds->valuedouble));
  return HOOPAUTH_OK;
}

static hoopauth_status_t step_settings(struct player *player, const cJSON *step, cJSON *outcome)
{
  (void)outcome;
  ONLY(player, step, "casing");
  tell(player, "settings", "casing", cJSON_CreateString(text(player, step, "casing")));
  return HOOPAUTH_OK;
}

static hoopauth_status_t step_fault(struct player *player, const cJSON *step, cJSON *outcome)
{
  (void)outcome;
  ONLY(player, step, "endpoint", "kind", "status", "headers", "body", "members", "omit", "first",
       "before", "times");
  cJSON *body = cJSON_Duplicate(step, true);
  cJSON_DeleteItemFromObjectCaseSensitive(body, "do");
  cJSON_DeleteItemFromObjectCaseSensitive(body, "expect");
  cJSON_Delete(control(player, "faults", body));
  return HOOPAUTH_OK;
}

static hoopauth_status_t step_revoke(struct player *player, const cJSON *step, cJSON *outcome)
{
  const char *token = text(player, step, "token");
  (void)outcome;
  ONLY(player, step, "account", "token");
  if (strcmp(token, "access") != 0 && strcmp(token, "refresh") != 0)
    fail(player, "unknown token %s", token);
  cJSON *body = cJSON_CreateObject();
  cJSON_AddStringToObject(body, "account", text(player, step, "account"));
  cJSON_AddTrueToObject(body, token);
  cJSON_Delete(control(player, "revoke", body));
  return HOOPAUTH_OK;
}

/* pause, unpause, uninstall */
static hoopauth_status_t step_account(struct player *player, const cJSON *step, cJSON *outcome)
{
  const char *what = text(player, step, "do"), *name = text(player, step, "account"),
             *id = strchr(name, ':');
  (void)outcome;
  ONLY(player, step, "account");
  if (strcmp(what, "uninstall") == 0) {
    tell(player, what, "account", cJSON_CreateString(name));
  } else {
    tell(player, what, "location_id", cJSON_CreateString(id ? id + 1 : name));
  }
  return HOOPAUTH_OK;
}

static hoopauth_status_t step_maintain(struct player *player, const cJSON *step, cJSON *outcome)
{
  double seconds = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(step, "seconds"));
  (void)outcome;
  ONLY(player, step, "seconds");
  hoopauth_status_t status = hoopauth_client_maintain(
      player->client, now_ms(&player->clock) + (int64_t)(seconds * 1000), NULL, &player->error);
  if (status == HOOPAUTH_OK)
    tell(player, "clock", "advance", cJSON_CreateNumber(seconds));
  return status;
}

static hoopauth_status_t step_statistics(struct player *player, const cJSON *step, cJSON *outcome)
{
  ONLY(player, step, NULL);
  cJSON *statistics = control(player, "statistics", NULL);
  while (statistics && statistics->child) {
    cJSON *one = cJSON_DetachItemViaPointer(statistics, statistics->child);
    cJSON_AddItemToObject(outcome, one->string, one);
  }
  cJSON_Delete(statistics);
  return HOOPAUTH_OK;
}

static const struct {
  const char *name;
  hoopauth_status_t (*run)(struct player *player, const cJSON *step, cJSON *outcome);
} steps[] = {
    {"headers", step_headers},
    {"login", step_login},
    {"import", step_import},
    {"export", step_export},
    {"accounts", step_accounts},
    {"health", step_health},
    {"mint", step_mint},
    {"remove", step_remove},
    {"request", step_request},
    {"send", step_send},
    {"rate_limit", step_rate_limit},
    {"scopes_for", step_scopes_for},
    {"installed_locations", step_installed_locations},
    {"mint_all", step_mint_all},
    {"webhook", step_webhook},
    {"revoke_key", step_revoke_key},
    {"advance", step_advance},
    {"settings", step_settings},
    {"fault", step_fault},
    {"revoke", step_revoke},
    {"pause", step_account},
    {"unpause", step_account},
    {"uninstall", step_account},
    {"statistics", step_statistics},
    {"maintain", step_maintain},
};

/* Whether all that is expected is there; objects may hold more. */
static bool holds(const cJSON *value, const cJSON *expected)
{
  const cJSON *part;
  if (!value || !cJSON_IsObject(expected))
    return value && cJSON_Compare(value, expected, true);
  cJSON_ArrayForEach(part, expected)
  {
    if (!holds(cJSON_GetObjectItemCaseSensitive(value, part->string), part))
      return false;
  }
  return cJSON_IsObject(value);
}

/* expect is a code's name, or an object whose members the outcome must have; without it, the step
 * must succeed. */
static void check(struct player *player, const cJSON *step, hoopauth_status_t status,
                  const cJSON *outcome)
{
  const cJSON *expected = cJSON_GetObjectItemCaseSensitive(step, "expect"), *member;
  const char *name = hoopauth_status_name(status), *code = cJSON_GetStringValue(expected);
  if (status != HOOPAUTH_OK) {
    const char *message = hoopauth_error_message(player->error, NULL);
    if (hoopauth_error_code(player->error) != status)
      fail(player, "the error is not that of %s", name);
    if (!code || strcmp(code, name) != 0)
      fail(player, "%s was not expected: %s", name, message ? message : "");
    return;
  }
  if (player->error)
    fail(player, "an error beside success");
  if (!expected)
    return;
  if (!cJSON_IsObject(expected))
    fail(player, "this succeeded");
  cJSON_ArrayForEach(member, expected)
  {
    const cJSON *found = cJSON_GetObjectItemCaseSensitive(outcome, member->string);
    bool is_part = strcmp(text(player, step, "do"), "send") == 0 &&
                   (strcmp(member->string, "body") == 0 || strcmp(member->string, "header") == 0);
    if (!found || !(is_part ? holds(found, member) : cJSON_Compare(found, member, true)))
      fail(player, "%s is another one", member->string);
  }
}

static void play_own_step(struct player *player, const cJSON *step)
{
  const char *what = text(player, step, "do");
  size_t i = 0;
  while (i < sizeof steps / sizeof *steps && strcmp(steps[i].name, what) != 0)
    i++;
  if (i == sizeof steps / sizeof *steps) {
    fail(player, "unknown step %s", what);
    return;
  }
  cJSON *outcome = cJSON_CreateObject();
  hoopauth_status_t status = steps[i].run(player, step, outcome);
  check(player, step, status, outcome);
  hoopauth_error_free(player->error);
  player->error = NULL;
  cJSON_Delete(outcome);
}

static void swap_clients(struct player *player)
{
  hoopauth_client_t *client = player->client;
  player->client = player->other;
  player->other = client;
}

/* Plays a step, by the one client or the other. */
static void play_step(struct player *player, const cJSON *whole)
{
  cJSON *step = cJSON_Duplicate(whole, true);
  cJSON *by = cJSON_DetachItemFromObjectCaseSensitive(step, "by");
  const char *name = cJSON_GetStringValue(by);
  if (by && (!name || strcmp(name, "other") != 0))
    fail(player, "unknown client");
  if (by)
    swap_clients(player);
  play_own_step(player, step);
  if (by)
    swap_clients(player);
  cJSON_Delete(by);
  cJSON_Delete(step);
}

/* ---- Cases ---- */

static hoopauth_status_t make_client(struct player *player, const cJSON *options,
                                     hoopauth_client_t **client)
{
  char file[64];
  hoopauth_config_t *config = NULL;
  hoopauth_clock_callbacks_t clock = {0};
  const cJSON *option, *oauth = cJSON_GetObjectItemCaseSensitive(options, "oauth");
  hoopauth_status_t status = hoopauth_config_new(&config, &player->error);
  clock.struct_size = sizeof clock;
  clock.user_data = &player->clock;
  clock.now_ms = now_ms;
  clock.monotonic_ms = monotonic_ms;
  clock.sleep_ms = sleep_ms;
  if (status == HOOPAUTH_OK)
    status = hoopauth_config_set_clock(config, &clock, &player->error);
  const char *app[][2] = {
      {"api_base", address(player, "api")},
      {"client_id", "65f0a1b2c3d4e5f607182930-hoopdev1"},
      {"client_secret", "3f9c2d1e-7b54-4a60-9d8e-1f2a3b4c5d6e"},
      {"redirect_uri", "https://app.example/callback?from=hoop"},
      {"scopes", "contacts.readonly contacts.write conversations.readonly conversations.write "
                 "calendars.readonly "
                 "calendars.write opportunities.readonly opportunities.write locations.readonly "
                 "companies.readonly "
                 "oauth.readonly oauth.write"},
      {"authorize_url", address(player, "authorize")},
      {"token_url", address(player, "token")},
      {"location_token_url", address(player, "location_token")},
      {"token_requests_per_minute", "1000"},
      {"store", "memory:"},
  };
  snprintf(file, sizeof file, "sqlite:%s/grants.db", player->folder);
  if (oauth && strcmp(text(player, options, "oauth"), "default") != 0)
    fail(player, "unknown app");
  for (size_t i = 0; i < (oauth ? sizeof app / sizeof *app : 1) && status == HOOPAUTH_OK; i++) {
    status = hoopauth_config_set(config, app[i][0], NUL, app[i][1], NUL, &player->error);
  }
  cJSON_ArrayForEach(option, options)
  {
    if (status != HOOPAUTH_OK || option == oauth)
      continue;
    const char *value = text(player, options, option->string);
    bool is_file = strcmp(option->string, "store") == 0 && strcmp(value, "file") == 0;
    status = hoopauth_config_set(config, option->string, NUL, is_file ? file : value, NUL,
                                 &player->error);
  }
  if (status == HOOPAUTH_OK)
    status = hoopauth_client_new(config, client, &player->error);
  hoopauth_config_free(config);
  return status;
}

static void play_in(struct player *player, const cJSON *one)
{
  static const char *const members[] = {"name", "since", "options", "steps", "expect_build", NULL};
  const cJSON *step, *list = cJSON_GetObjectItemCaseSensitive(one, "steps");
  const cJSON *expected = cJSON_GetObjectItemCaseSensitive(one, "expect_build");
  only(player, one, members);
  if (!cJSON_IsArray(list))
    fail(player, "steps are missing");
  tell(player, "clock", "frozen", cJSON_CreateTrue());
  player->clock.now_ms = emulator_now(player) * 1000;
  const cJSON *options = cJSON_GetObjectItemCaseSensitive(one, "options");
  hoopauth_status_t status = make_client(player, options, &player->client);
  if (expected) {
    if (cJSON_GetArraySize(list) > 0)
      fail(player, "no steps can follow");
    if (strcmp(hoopauth_status_name(status), text(player, one, "expect_build")) != 0) {
      fail(player, "making the client gave %s", hoopauth_status_name(status));
    }
    return;
  }
  if (status != HOOPAUTH_OK) {
    fail(player, "%s", hoopauth_error_message(player->error, NULL));
    return;
  }
  if (make_client(player, options, &player->other) != HOOPAUTH_OK)
    fail(player, "the other client is not made");
  cJSON_ArrayForEach(step, list)
  {
    if (player->why[0]) {
      return;
    }
    play_step(player, step);
    if (player->why[0]) {
      char *json = cJSON_PrintUnformatted(step);
      size_t len = strlen(player->why);
      snprintf(player->why + len, sizeof player->why - len, " in %s", json);
      free(json);
    }
  }
}

/* Plays a case; true if it passes. */
static bool play(const cJSON *one)
{
  static const char *const of_the_store[] = {"grants.db", "grants.db-wal", "grants.db-shm",
                                             "grants.db-lock"};
  struct player player;
  memset(&player, 0, sizeof player);
  strcpy(player.folder, "/tmp/hoopauth-case-XXXXXX");
  if (!mkdtemp(player.folder))
    fail(&player, "no folder for the store");
  start(&player);
  if (!player.why[0])
    play_in(&player, one);
  hoopauth_error_free(player.error);
  hoopauth_grant_free(player.grant);
  hoopauth_pending_authorization_free(player.pending);
  verifiers_free(&player);
  cJSON_Delete(player.webhook);
  hoopauth_client_free(player.client);
  hoopauth_client_free(player.other);
  free(player.redirect);
  stop(&player);
  for (size_t i = 0; i < sizeof of_the_store / sizeof *of_the_store; i++) {
    char path[64];
    snprintf(path, sizeof path, "%s/%s", player.folder, of_the_store[i]);
    unlink(path);
  }
  rmdir(player.folder);
  const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(one, "name"));
  if (player.why[0]) {
    printf("FAILED: %s: %s\n", name, player.why);
  } else {
    printf("passed: %s\n", name);
  }
  fflush(stdout);
  return !player.why[0];
}

static char *read_file(const char *path)
{
  FILE *file = fopen(path, "rb");
  char *content = NULL;
  size_t len = 0;
  if (!file)
    return NULL;
  if (getdelim(&content, &len, '\0', file) < 0) {
    free(content);
    content = NULL;
  }
  fclose(file);
  return content;
}

int main(int argc, char **argv)
{
  int passed = 0, failed = 0;
  curl_global_init(CURL_GLOBAL_DEFAULT);
  for (int i = 1; i < argc; i++) {
    char *content = read_file(argv[i]);
    cJSON *cases = cJSON_Parse(content ? content : "");
    const cJSON *one;
    if (!cJSON_IsArray(cases)) {
      printf("FAILED: %s holds no cases\n", argv[i]);
      failed++;
    }
    cJSON_ArrayForEach(one, cases)
    {
      if (play(one)) {
        passed++;
      } else {
        failed++;
      }
    }
    cJSON_Delete(cases);
    free(content);
  }
  printf("%d passed, %d failed\n", passed, failed);
  curl_global_cleanup();
  return passed > 0 && failed == 0 ? 0 : 1;
}
