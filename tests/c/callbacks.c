/* Tables of the host's own: log, clock, news of changes, HTTP. What they are given, what they may
 * do, and how they end.
 */
#include "http.h"

#include <pthread.h>

#define LOCATION "location:hoopLocation00000001"
#define OTHER "location:hoopLocation00000002"

/* ---- Ends: destroy is called once for a registration that worked, and never for another ---- */

static void count_destroy(void *user_data)
{
  ++*(int *)user_data;
}

static int64_t zero_now(void *user_data)
{
  (void)user_data;
  return 0;
}

static uint64_t zero_monotonic(void *user_data)
{
  (void)user_data;
  return 0;
}

static void ends(void)
{
  int destroyed = 0;
  hoopauth_clock_callbacks_t clock;
  memset(&clock, 0, sizeof clock);
  clock.struct_size = sizeof clock;
  clock.user_data = &destroyed;
  clock.destroy = count_destroy;
  clock.now_ms = zero_now;

  /* Registrations that fail: a function is missing, the size is wrong, there is no configuration.
   */
  hoopauth_config_t *config = app_config();
  FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_config_set_clock(config, &clock, &err));
  clock.monotonic_ms = zero_monotonic;
  FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_config_set_clock(NULL, &clock, &err));
  clock.struct_size = 8;
  FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_config_set_clock(config, &clock, &err));
  clock.struct_size = 0;
  FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_config_set_clock(config, &clock, &err));
  clock.struct_size = SIZE_MAX;
  FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_config_set_clock(config, &clock, &err));
  CHECK(destroyed == 0);
  clock.struct_size = sizeof clock;

  /* Replaced by another; freed with the configuration; without any client. */
  OK(hoopauth_config_set_clock(config, &clock, &err));
  OK(hoopauth_config_set_clock(config, &clock, &err));
  CHECK(destroyed == 1);
  hoopauth_config_free(config);
  CHECK(destroyed == 2);

  /* The configuration is freed before the client, and a reference, an account and its headers stay
   * longer. */
  config = app_config();
  OK(hoopauth_config_set_clock(config, &clock, &err));
  hoopauth_client_t *client = client_of(config);
  CHECK(destroyed == 2);
  hoopauth_client_t *other = hoopauth_client_ref(client);
  hoopauth_client_free(client);
  CHECK(destroyed == 2);
  hoopauth_account_t *account = account_of(other, LOCATION);
  OK(hoopauth_client_close(other, &err));
  hoopauth_client_free(other);
  hoopauth_account_free(account);
  CHECK(destroyed == 3);

  /* The configuration is freed after the client; two clients of one configuration. */
  config = app_config();
  OK(hoopauth_config_set_clock(config, &clock, &err));
  client = NULL;
  OK(hoopauth_client_new(config, &client, &err));
  OK(hoopauth_client_new(config, &other, &err));
  hoopauth_client_free(client);
  hoopauth_client_free(other);
  CHECK(destroyed == 3);
  hoopauth_config_free(config);
  CHECK(destroyed == 4);

  /* A client that can't be made leaves the configuration what it has. */
  OK(hoopauth_config_new(&config, &err));
  OK(hoopauth_config_set_clock(config, &clock, &err));
  FAILS(HOOPAUTH_CONFIG, hoopauth_client_new(config, &client, &err));
  CHECK(destroyed == 4);
  hoopauth_config_free(config);
  CHECK(destroyed == 5);
  clock.destroy = NULL;
  config = app_config();
  OK(hoopauth_config_set_clock(config, &clock, &err));
  hoopauth_config_free(config);
}

/* ---- Sizes: older and newer programs ---- */

typedef struct {
  size_t struct_size;
  void *user_data;
  void (*destroy)(void *user_data);
  int64_t (*now_ms)(void *user_data);
  uint64_t (*monotonic_ms)(void *user_data);
} first_clock_t; /* as it was before sleep_ms */

typedef struct {
  hoopauth_clock_callbacks_t known;
  void (*unknown)(void);
  char tail[3];
} later_clock_t;

static void sizes(void)
{
  hoopauth_config_t *config = app_config();
  int destroyed = 0;
  /* In a block of its own size, so that reading behind it is seen. */
  first_clock_t *first = calloc(1, sizeof *first);
  first->struct_size = sizeof *first;
  first->user_data = &destroyed;
  first->destroy = count_destroy;
  first->now_ms = zero_now;
  first->monotonic_ms = zero_monotonic;
  OK(hoopauth_config_set_clock(config, (const hoopauth_clock_callbacks_t *)(const void *)first,
                               &err));
  first->struct_size -= 1;
  FAILS(HOOPAUTH_INVALID_ARGUMENT,
        hoopauth_config_set_clock(config, (const hoopauth_clock_callbacks_t *)(const void *)first,
                                  &err));
  free(first);
  hoopauth_client_t *client = client_of(config);
  hoopauth_headers_t *headers = NULL;
  FAILS(HOOPAUTH_NO_GRANT,
        hoopauth_client_headers_by_name(client, LOCATION, NUL, "GET", NUL, NULL, &headers, &err));
  hoopauth_client_free(client);
  CHECK(destroyed == 1);

  config = app_config();
  later_clock_t *later = calloc(1, sizeof *later);
  later->known.struct_size = sizeof *later;
  later->known.user_data = &destroyed;
  later->known.destroy = count_destroy;
  later->known.now_ms = zero_now;
  later->known.monotonic_ms = zero_monotonic;
  OK(hoopauth_config_set_clock(config, &later->known, &err));
  later->tail[2] = 1;
  FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_config_set_clock(config, &later->known, &err));
  later->tail[2] = 0;
  later->unknown = ends;
  FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_config_set_clock(config, &later->known, &err));
  free(later);
  hoopauth_config_free(config);
  CHECK(destroyed == 2);
}

/* Every table: the size of the first version is taken and no less; of a longer one, only a tail of
 * zeros. */
typedef hoopauth_status_t (*registration_t)(hoopauth_config_t *config, const void *table,
                                            hoopauth_error_t **err);

#define REGISTRATION(noun)                                                                         \
  static hoopauth_status_t register_##noun(hoopauth_config_t *config, const void *table,           \
                                           hoopauth_error_t **err)                                 \
  {                                                                                                \
    return hoopauth_config_set_##noun(config, table, err);                                         \
  }

REGISTRATION(clock)
REGISTRATION(change)
REGISTRATION(transport)
REGISTRATION(store)

static hoopauth_status_t register_log(hoopauth_config_t *config, const void *table,
                                      hoopauth_error_t **err)
{
  (void)config;
  return hoopauth_log_set(HOOPAUTH_LOG_ERROR, table, err);
}

static void never_called(void)
{
  CHECK(!"called");
}

static void sizes_of(registration_t registers, size_t least, size_t known)
{
  int destroyed = 0;
  void (*function)(void) = never_called;
  void (*destroy)(void *) = count_destroy;
  void *user_data = &destroyed;
  static const size_t longer = 24;
  hoopauth_config_t *config = app_config();
  size_t sizes[] = {least, known, known + longer};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    size_t size = sizes[i];
    unsigned char *table = calloc(1, size);
    memcpy(table, &size, sizeof size);
    memcpy(table + sizeof size, &user_data, sizeof user_data);
    memcpy(table + 2 * sizeof size, &destroy, sizeof destroy);
    for (size_t at = 3 * sizeof size; at < (size < known ? size : known); at += sizeof function) {
      memcpy(table + at, &function, sizeof function);
    }
    OK(registers(config, table, &err));
    if (size == least) {
      size_t less = size - 1;
      memcpy(table, &less, sizeof less);
      FAILS(HOOPAUTH_INVALID_ARGUMENT, registers(config, table, &err));
    } else if (size > known) {
      table[size - 1] = 1;
      FAILS(HOOPAUTH_INVALID_ARGUMENT, registers(config, table, &err));
    }
    free(table);
    CHECK(destroyed == (int)i);
  }
  hoopauth_config_free(config);
  OK(hoopauth_log_set(HOOPAUTH_LOG_OFF, NULL, &err));
  CHECK(destroyed == 3);
}

static void sizes_of_all(void)
{
  size_t word = sizeof(size_t);
  sizes_of(register_log, 4 * word, sizeof(hoopauth_log_callbacks_t));
  sizes_of(register_clock, 5 * word, sizeof(hoopauth_clock_callbacks_t));
  sizes_of(register_change, 4 * word, sizeof(hoopauth_change_callbacks_t));
  sizes_of(register_transport, 4 * word, sizeof(hoopauth_transport_callbacks_t));
  sizes_of(register_store, 6 * word, sizeof(hoopauth_store_callbacks_t));
}

/* ---- Log ---- */

typedef struct {
  pthread_mutex_t lock;
  int levels[6];
  int destroyed;
  size_t len;
  char all[1 << 20];
  const hoopauth_client_t *client;
  int refused;
} log_t;

static void take_record(void *user_data, int32_t level, const char *target, size_t target_len,
                        const char *message, size_t message_len)
{
  log_t *log = user_data;
  CHECK(level >= HOOPAUTH_LOG_ERROR && level <= HOOPAUTH_LOG_TRACE);
  CHECK(strncmp(target, "hoopauth", 8) == 0 && strlen(target) == target_len);
  CHECK(strlen(message) == message_len);
  pthread_mutex_lock(&log->lock);
  log->levels[level]++;
  if (log->len + message_len + 2 < sizeof log->all) {
    memcpy(log->all + log->len, message, message_len);
    log->len += message_len;
    log->all[log->len++] = '\n';
    log->all[log->len] = '\0';
  }
  const hoopauth_client_t *client = log->client;
  pthread_mutex_unlock(&log->lock);
  if (client != NULL) {
    hoopauth_accounts_t *accounts = NULL;
    FAILS(HOOPAUTH_INVALID_STATE, hoopauth_client_accounts(client, NULL, &accounts, &err));
    pthread_mutex_lock(&log->lock);
    log->refused++;
    pthread_mutex_unlock(&log->lock);
  }
}

static void end_log(void *user_data)
{
  ((log_t *)user_data)->destroyed++;
}

static log_t *new_log(int32_t level)
{
  log_t *log = calloc(1, sizeof *log);
  pthread_mutex_init(&log->lock, NULL);
  hoopauth_log_callbacks_t table;
  memset(&table, 0, sizeof table);
  table.struct_size = sizeof table;
  table.user_data = log;
  table.destroy = end_log;
  FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_log_set(level, &table, &err));
  table.log = take_record;
  FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_log_set(6, &table, &err));
  FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_log_set(-1, &table, &err));
  CHECK(log->destroyed == 0);
  OK(hoopauth_log_set(level, &table, &err));
  return log;
}

static void a_day_of(hoopauth_client_t *client)
{
  hoopauth_headers_t *headers = NULL;
  import(client, LOCATION, 0);
  OK(hoopauth_client_headers_by_name(client, LOCATION, NUL, "GET", NUL, NULL, &headers, &err));
  hoopauth_headers_free(headers);
  import(client, OTHER, 0);
  tell("revoke", "{\"account\":\"" OTHER "\",\"access\":true,\"refresh\":true}");
  FAILS(HOOPAUTH_REAUTHORIZATION_REQUIRED,
        hoopauth_client_headers_by_name(client, OTHER, NUL, "GET", NUL, NULL, &headers, &err));
}

static void logs(void)
{
  hoopauth_config_t *config = app_config();
  hoopauth_client_t *client = client_of(config);
  log_t *all = new_log(HOOPAUTH_LOG_TRACE);
  a_day_of(client);
  CHECK(all->len > 0 && all->levels[HOOPAUTH_LOG_DEBUG] + all->levels[HOOPAUTH_LOG_TRACE] > 0);
  char *issued = control("GET", "grants?account=" LOCATION, "");
  char *access = member(issued, "access_token"), *refresh = member(issued, "refresh_token");
  CHECK(strstr(all->all, access) == NULL && strstr(all->all, refresh) == NULL);
  CHECK(strstr(all->all, setting("TEST_CLIENT_SECRET")) == NULL);
  CHECK(strstr(all->all, "Bearer ey") == NULL);
  free(refresh);
  free(access);
  free(issued);

  /* Another takes its place; a level that lets less through. */
  CHECK(all->destroyed == 0);
  log_t *few = new_log(HOOPAUTH_LOG_ERROR);
  CHECK(all->destroyed == 1);
  a_day_of(client);
  for (int level = HOOPAUTH_LOG_WARN; level <= HOOPAUTH_LOG_TRACE; level++) {
    CHECK(few->levels[level] == 0);
  }
  /* One that calls the client. */
  log_t *calls = new_log(HOOPAUTH_LOG_TRACE);
  CHECK(few->destroyed == 1);
  calls->client = client;
  a_day_of(client);
  CHECK(calls->refused > 0);
  OK(hoopauth_log_set(HOOPAUTH_LOG_OFF, NULL, &err));
  CHECK(calls->destroyed == 1);
  size_t len = calls->len;
  a_day_of(client);
  CHECK(calls->len == len);
  hoopauth_client_free(client);
  free(all);
  free(few);
  free(calls);
}

/* ---- Clock ---- */

typedef struct {
  pthread_mutex_t lock;
  int64_t now;
  uint64_t monotonic;
  const hoopauth_client_t *client;
  int calls, refused;
} hand_clock_t;

static int64_t hand_now(void *user_data)
{
  hand_clock_t *clock = user_data;
  pthread_mutex_lock(&clock->lock);
  int64_t now = clock->now;
  const hoopauth_client_t *client = clock->client;
  clock->calls++;
  pthread_mutex_unlock(&clock->lock);
  if (client != NULL) {
    hoopauth_headers_t *headers = NULL;
    FAILS(HOOPAUTH_INVALID_STATE,
          hoopauth_client_headers_by_name(client, LOCATION, NUL, "GET", NUL, NULL, &headers, &err));
    FAILS(HOOPAUTH_INVALID_STATE, hoopauth_client_close(client, &err));
    pthread_mutex_lock(&clock->lock);
    clock->refused++;
    pthread_mutex_unlock(&clock->lock);
  }
  return now;
}

static uint64_t hand_monotonic(void *user_data)
{
  hand_clock_t *clock = user_data;
  pthread_mutex_lock(&clock->lock);
  uint64_t monotonic = clock->monotonic;
  pthread_mutex_unlock(&clock->lock);
  return monotonic;
}

static void hand_sleep(void *user_data, uint64_t duration_ms)
{
  hand_clock_t *clock = user_data;
  pthread_mutex_lock(&clock->lock);
  clock->now += (int64_t)duration_ms;
  clock->monotonic += duration_ms;
  pthread_mutex_unlock(&clock->lock);
}

static void clocks(void)
{
  hand_clock_t clock = {PTHREAD_MUTEX_INITIALIZER, INT64_C(1700000000000), 5, NULL, 0, 0};
  hoopauth_clock_callbacks_t table;
  memset(&table, 0, sizeof table);
  table.struct_size = sizeof table;
  table.user_data = &clock;
  table.now_ms = hand_now;
  table.monotonic_ms = hand_monotonic;
  table.sleep_ms = hand_sleep;
  hoopauth_config_t *config = app_config();
  OK(hoopauth_config_set_clock(config, &table, &err));
  hoopauth_client_t *client = client_of(config);
  import(client, LOCATION, clock.now + 86399000);
  long before = count_of("rotations");
  hoopauth_headers_t *headers = NULL;
  OK(hoopauth_client_headers_by_name(client, LOCATION, NUL, "GET", NUL, NULL, &headers, &err));
  hoopauth_headers_free(headers);
  CHECK(count_of("rotations") == before && clock.calls > 0);
  hand_sleep(&clock, 86400000);
  OK(hoopauth_client_headers_by_name(client, LOCATION, NUL, "GET", NUL, NULL, &headers, &err));
  hoopauth_headers_free(headers);
  CHECK(count_of("rotations") == before + 1);
  hoopauth_account_t *account = account_of(client, LOCATION);
  hoopauth_health_t *health = NULL;
  OK(hoopauth_client_health(client, account, NULL, &health, &err));
  CHECK(hoopauth_health_refreshed_at_ms(health) == clock.now);
  CHECK(hoopauth_health_authorized_at_ms(health) == INT64_C(1700000000000));
  CHECK(hoopauth_health_expires_at_ms(health) > clock.now);
  hoopauth_health_free(health);

  /* A clock that calls the client, also while a refresh is due. */
  clock.client = client;
  OK(hoopauth_client_headers_by_name(client, LOCATION, NUL, "GET", NUL, NULL, &headers, &err));
  hoopauth_headers_free(headers);
  clock.client = NULL;
  hand_sleep(&clock, 86400000);
  clock.client = client;
  OK(hoopauth_client_headers(client, account, "GET", NUL, NULL, &headers, &err));
  hoopauth_headers_free(headers);
  CHECK(clock.refused > 0);
  clock.client = NULL;
  hoopauth_account_free(account);
  hoopauth_client_free(client);
}

/* ---- News of changes ---- */

typedef struct {
  const hoopauth_client_t *client;
  int seen[6];
  uint64_t generation;
  int destroyed;
} news_t;

static void take_news(void *user_data, const char *account, size_t account_len, uint64_t generation,
                      int32_t kind)
{
  news_t *news = user_data;
  CHECK(strlen(account) == account_len && strncmp(account, "location:", 9) == 0);
  CHECK(kind >= HOOPAUTH_CHANGE_SAVED && kind <= HOOPAUTH_CHANGE_REFUSED);
  news->seen[kind]++;
  news->generation = generation;
  if (news->client != NULL) {
    hoopauth_grant_t *grant = NULL;
    FAILS(HOOPAUTH_INVALID_STATE, hoopauth_client_export(news->client, NULL, NULL, &grant, &err));
  }
}

static void end_news(void *user_data)
{
  ((news_t *)user_data)->destroyed++;
}

static void changes(void)
{
  news_t news;
  memset(&news, 0, sizeof news);
  hoopauth_change_callbacks_t table;
  memset(&table, 0, sizeof table);
  table.struct_size = sizeof table;
  table.user_data = &news;
  table.destroy = end_news;
  hoopauth_config_t *config = app_config();
  FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_config_set_change(config, &table, &err));
  table.changed = take_news;
  OK(hoopauth_config_set_change(config, &table, &err));
  set_option(config, "default_account", LOCATION);
  hoopauth_client_t *client = client_of(config);
  news.client = client;
  a_day_of(client);
  CHECK(news.seen[HOOPAUTH_CHANGE_SAVED] == 2 && news.seen[HOOPAUTH_CHANGE_REFRESHED] == 1);
  CHECK(news.seen[HOOPAUTH_CHANGE_REFUSED] == 1);
  bool removed = false;
  OK(hoopauth_client_remove(client, NULL, NULL, &removed, &err));
  CHECK(removed && news.seen[HOOPAUTH_CHANGE_REMOVED] == 1 && news.generation > 0);
  hoopauth_client_free(client);
  CHECK(news.destroyed == 1);
}

/* ---- HTTP ---- */

typedef struct {
  const hoopauth_client_t *client;
  const char *lie;
  int sent, refused, destroyed;
} carrier_t;

static hoopauth_status_t carry(carrier_t *carrier, const hoopauth_transport_request_t *request,
                               hoopauth_transport_response_t *response)
{
  size_t len = 0, body_len = 0, room = 1;
  CHECK(hoopauth_transport_request_timeout(request) > 0);
  CHECK(hoopauth_transport_request_max_body(request) >= 65536);
  const char *method = hoopauth_transport_request_method(request, &len);
  CHECK(strcmp(method, "POST") == 0 && len == 4);
  size_t count = hoopauth_transport_request_header_count(request);
  hoopauth_header_t header;
  for (size_t i = 0; i < count; i++) {
    OK(hoopauth_transport_request_header_at(request, i, &header, &err));
    room += header.name_len + header.value_len + 4;
  }
  FAILS(HOOPAUTH_INVALID_ARGUMENT,
        hoopauth_transport_request_header_at(request, count, &header, &err));
  char *lines = malloc(room);
  *lines = '\0';
  for (size_t i = 0; i < count; i++) {
    OK(hoopauth_transport_request_header_at(request, i, &header, &err));
    sprintf(lines + strlen(lines), "%s: %s\r\n", header.name, header.value);
  }
  const char *body = hoopauth_transport_request_body(request, &body_len);
  CHECK(strlen(body) == body_len && body_len > 0);
  answer_t answer;
  int sent = http_send(method, hoopauth_transport_request_url(request, NULL), lines, body, body_len,
                       &answer);
  free(lines);
  carrier->sent++;
  if (sent != 0) {
    return HOOPAUTH_NETWORK;
  }
  OK(hoopauth_transport_response_set_status(response, (uint16_t)answer.status, &err));
  OK(hoopauth_transport_response_add_header(response, "content-type", NUL, "application/json", NUL,
                                            &err));
  size_t half = answer.body_len / 2;
  OK(hoopauth_transport_response_append_body(response, (const uint8_t *)answer.body, half, &err));
  OK(hoopauth_transport_response_append_body(response, (const uint8_t *)answer.body + half,
                                             answer.body_len - half, &err));
  free(answer.text);
  return HOOPAUTH_OK;
}

static hoopauth_status_t send_request(void *user_data, const hoopauth_transport_request_t *request,
                                      hoopauth_transport_response_t *response,
                                      hoopauth_failure_t *failure)
{
  carrier_t *carrier = user_data;
  if (carrier->client != NULL) {
    hoopauth_headers_t *headers = NULL;
    hoopauth_context_t *context = NULL;
    FAILS(HOOPAUTH_INVALID_STATE,
          hoopauth_client_headers_by_name(carrier->client, LOCATION, NUL, "GET", NUL, NULL,
                                          &headers, &err));
    OK(hoopauth_context_new(5, &context, &err));
    FAILS(HOOPAUTH_INVALID_STATE,
          hoopauth_client_headers_by_name(carrier->client, LOCATION, NUL, "GET", NUL, context,
                                          &headers, &err));
    hoopauth_context_free(context);
    FAILS(HOOPAUTH_INVALID_STATE, hoopauth_client_maintain(carrier->client, INT64_MAX, NULL, &err));
    FAILS(HOOPAUTH_INVALID_STATE, hoopauth_client_close(carrier->client, &err));
    carrier->refused++;
  }
  if (carrier->lie == NULL) {
    return carry(carrier, request, response);
  }
  carrier->sent++;
  if (strcmp(carrier->lie, "no status") == 0) {
    return HOOPAUTH_OK;
  }
  if (strcmp(carrier->lie, "too much") == 0) {
    static uint8_t piece[65536];
    OK(hoopauth_transport_response_set_status(response, 200, &err));
    for (size_t left = hoopauth_transport_request_max_body(request); left >= sizeof piece;
         left -= sizeof piece) {
      OK(hoopauth_transport_response_append_body(response, piece, sizeof piece, &err));
    }
    FAILS(HOOPAUTH_INVALID_ARGUMENT,
          hoopauth_transport_response_append_body(response, piece, sizeof piece, &err));
    return HOOPAUTH_OK;
  }
  if (strcmp(carrier->lie, "garbage") == 0) {
    OK(hoopauth_transport_response_set_status(response, 200, &err));
    OK(hoopauth_transport_response_append_body(response, (const uint8_t *)"\xff\x00{", 3, &err));
    FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_transport_response_set_status(response, 99, &err));
    FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_transport_response_set_status(response, 600, &err));
    /* Servers send what they like as values; a name is a name. */
    OK(hoopauth_transport_response_add_header(response, "x", NUL, "\xff", NUL, &err));
    FAILS(HOOPAUTH_INVALID_ARGUMENT,
          hoopauth_transport_response_add_header(response, "\xff", NUL, "x", NUL, &err));
    return HOOPAUTH_OK;
  }
  OK(hoopauth_failure_set_message(
      failure, "the cable is cut, says Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2VjcmV0", NUL,
      &err));
  OK(hoopauth_failure_set_retryable(failure, false, &err));
  OK(hoopauth_transport_response_set_not_sent(response, &err));
  return atoi(carrier->lie);
}

static void end_carrier(void *user_data)
{
  ((carrier_t *)user_data)->destroyed++;
}

static void transports(void)
{
  carrier_t carrier;
  memset(&carrier, 0, sizeof carrier);
  hoopauth_transport_callbacks_t table;
  memset(&table, 0, sizeof table);
  table.struct_size = sizeof table;
  table.user_data = &carrier;
  table.destroy = end_carrier;
  hoopauth_config_t *config = app_config();
  set_option(config, "max_retries", "0");
  FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_config_set_transport(config, &table, &err));
  table.send = send_request;
  OK(hoopauth_config_set_transport(config, &table, &err));
  hoopauth_client_t *client = client_of(config);
  hoopauth_headers_t *headers = NULL;

  /* It carries a refresh, and may not call the client meanwhile. */
  carrier.client = client;
  import(client, LOCATION, 0);
  OK(hoopauth_client_headers_by_name(client, LOCATION, NUL, "GET", NUL, NULL, &headers, &err));
  CHECK(api_call(headers, "/locations/hoopLocation00000001", NULL) == 200);
  hoopauth_headers_free(headers);
  CHECK(carrier.sent == 1 && carrier.refused == 1);
  carrier.client = NULL;

  static const struct {
    const char *lie;
    hoopauth_status_t code;
  } lies[] = {{"no status", HOOPAUTH_CALLBACK_FAILED},
              {"too much", HOOPAUTH_MALFORMED_RESPONSE},
              {"garbage", HOOPAUTH_MALFORMED_RESPONSE},
              {"20", HOOPAUTH_NETWORK},
              {"21", HOOPAUTH_TIMEOUT},
              {"22", HOOPAUTH_TLS},
              {"36", HOOPAUTH_MALFORMED_RESPONSE},
              {"10", HOOPAUTH_CONFIG},
              {"92", HOOPAUTH_CALLBACK_FAILED},
              {"31", HOOPAUTH_CALLBACK_FAILED},
              {"-7", HOOPAUTH_CALLBACK_FAILED},
              {"123456", HOOPAUTH_CALLBACK_FAILED}};
  for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
    /* Each in a location of its own, so that none meets what another left. */
    char account[60], json[120];
    snprintf(account, sizeof account, "location:hoopLiar%012u", (unsigned)i);
    snprintf(json, sizeof json,
             "{\"company_id\":\"hoopCompany000000001\",\"id\":\"%s\",\"name\":\"L\"}", account + 9);
    tell("locations", json);
    carrier.lie = NULL;
    import(client, account, 0);
    carrier.lie = lies[i].lie;
    hoopauth_error_t *error = NULL;
    hoopauth_status_t status =
        hoopauth_client_headers_by_name(client, account, NUL, "GET", NUL, NULL, &headers, &error);
    if (status != lies[i].code) {
      fprintf(stderr, "%s: %s: %s\n", lies[i].lie, hoopauth_status_name(status),
              hoopauth_error_message(error, NULL));
    }
    CHECK(status == lies[i].code && headers == NULL);
    CHECK(strstr(hoopauth_error_message(error, NULL), "c2VjcmV0") == NULL);
    if (lies[i].lie[0] == '2') {
      CHECK(strstr(hoopauth_error_message(error, NULL), "the cable is cut") != NULL);
    }
    hoopauth_error_free(error);
    /* And well again: nothing was lost. */
    carrier.lie = NULL;
  }
  hoopauth_client_free(client);
  CHECK(carrier.destroyed == 1);
}

int main(void)
{
  ends();
  sizes();
  sizes_of_all();
  logs();
  clocks();
  changes();
  transports();
  return 0;
}
