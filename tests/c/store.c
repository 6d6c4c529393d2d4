/* A store of the host's own: rows in memory, in its shortest form and in full; each function
 * failing; and calling back.
 */
#include "http.h"

#include <pthread.h>

#define LOCATION "location:hoopLocation00000001"

enum { LOAD = 1, SAVE, LIST, LEASE, SLOT, CLAIM, UNCLAIM, CHANGES, FUNCTIONS };

typedef struct row {
  struct row *next;
  char *app, *account;
  uint64_t version;
  uint8_t *bytes;
  size_t bytes_len;
  bool live, marked;
  int64_t expires_at_ms, not_before_ms;
} row_t;

typedef struct {
  pthread_mutex_t lock;
  row_t *rows;
  uint64_t changes;
  int calls[FUNCTIONS];
  int leased, most_leased, unleased;
  uint8_t claimed[16][16];
  int claims;
  int fails; /* which function fails */
  hoopauth_status_t fails_with;
  bool says_why, lies, never_saves;
  uint64_t slot_wait_ms;
  const hoopauth_client_t *client; /* which is called back */
  int refused, destroyed;
} rows_t;

static char *copy_of(const char *text, size_t len)
{
  char *copy = malloc(len + 1);
  memcpy(copy, text, len);
  copy[len] = '\0';
  return copy;
}

/* What each function does first. */
static hoopauth_status_t enter(rows_t *rows, int function, hoopauth_failure_t *failure)
{
  pthread_mutex_lock(&rows->lock);
  rows->calls[function]++;
  const hoopauth_client_t *client = rows->client;
  hoopauth_status_t status = rows->fails == function ? rows->fails_with : HOOPAUTH_OK;
  if (client != NULL) {
    rows->refused++;
  }
  pthread_mutex_unlock(&rows->lock);
  if (client != NULL) {
    hoopauth_headers_t *headers = NULL;
    hoopauth_health_t *health = NULL;
    FAILS(HOOPAUTH_INVALID_STATE,
          hoopauth_client_headers_by_name(client, "location:hoopLocation00000002", NUL, "GET", NUL,
                                          NULL, &headers, &err));
    FAILS(HOOPAUTH_INVALID_STATE, hoopauth_client_health(client, NULL, NULL, &health, &err));
    FAILS(HOOPAUTH_INVALID_STATE, hoopauth_client_remove(client, NULL, NULL, NULL, &err));
    FAILS(HOOPAUTH_INVALID_STATE, hoopauth_client_close(client, &err));
  }
  if (status != HOOPAUTH_OK && rows->says_why) {
    OK(hoopauth_failure_set_message(failure, "the disk is full", NUL, &err));
    OK(hoopauth_failure_set_retryable(failure, true, &err));
  }
  return status;
}

static row_t *find(rows_t *rows, const hoopauth_row_key_t *key)
{
  CHECK(strlen(key->app) == key->app_len && strlen(key->account) == key->account_len);
  row_t *row = rows->rows;
  while (row != NULL &&
         (strcmp(row->app, key->app) != 0 || strcmp(row->account, key->account) != 0)) {
    row = row->next;
  }
  return row;
}

static hoopauth_status_t load(void *user_data, const hoopauth_row_key_t *key, hoopauth_row_t *out,
                              hoopauth_failure_t *failure)
{
  rows_t *rows = user_data;
  hoopauth_status_t status = enter(rows, LOAD, failure);
  if (status != HOOPAUTH_OK) {
    return status;
  }
  if (rows->lies) {
    OK(hoopauth_row_set(out, 1, (const uint8_t *)"not what was saved", 18, &err));
    return HOOPAUTH_OK;
  }
  pthread_mutex_lock(&rows->lock);
  row_t *row = find(rows, key);
  if (row != NULL) {
    FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_row_set(out, 0, NULL, 0, &err));
    OK(hoopauth_row_set(out, row->version, row->bytes, row->bytes_len, &err));
  }
  pthread_mutex_unlock(&rows->lock);
  return HOOPAUTH_OK;
}

static hoopauth_status_t save(void *user_data, const hoopauth_row_key_t *key, uint64_t expected,
                              const hoopauth_new_row_t *new_row, bool *saved,
                              hoopauth_failure_t *failure)
{
  rows_t *rows = user_data;
  hoopauth_status_t status = enter(rows, SAVE, failure);
  if (status != HOOPAUTH_OK) {
    return status;
  }
  pthread_mutex_lock(&rows->lock);
  row_t *row = find(rows, key);
  *saved = !rows->never_saves && (row ? row->version : 0) == expected;
  if (*saved) {
    if (row == NULL) {
      row = calloc(1, sizeof *row);
      row->app = copy_of(key->app, key->app_len);
      row->account = copy_of(key->account, key->account_len);
      row->next = rows->rows;
      rows->rows = row;
    }
    free(row->bytes);
    row->bytes = (uint8_t *)copy_of((const char *)new_row->bytes, new_row->bytes_len);
    row->bytes_len = new_row->bytes_len;
    CHECK(memchr(row->bytes, 0, row->bytes_len) == NULL);
    row->version = expected + 1;
    row->live = new_row->live;
    row->marked = new_row->marked;
    row->expires_at_ms = new_row->expires_at_ms;
    row->not_before_ms = new_row->not_before_ms;
    rows->changes++;
  }
  pthread_mutex_unlock(&rows->lock);
  return HOOPAUTH_OK;
}

static hoopauth_status_t list(void *user_data, const char *app, size_t app_len,
                              hoopauth_row_list_t *out, hoopauth_failure_t *failure)
{
  rows_t *rows = user_data;
  hoopauth_status_t status = enter(rows, LIST, failure);
  if (status != HOOPAUTH_OK) {
    return status;
  }
  CHECK(strlen(app) == app_len);
  pthread_mutex_lock(&rows->lock);
  for (row_t *row = rows->rows; row != NULL; row = row->next) {
    if (strcmp(row->app, app) == 0) {
      OK(hoopauth_row_list_add(out, row->account, NUL, row->live, row->marked, row->expires_at_ms,
                               row->not_before_ms, &err));
    }
  }
  pthread_mutex_unlock(&rows->lock);
  return HOOPAUTH_OK;
}

static hoopauth_status_t lease(void *user_data, const hoopauth_row_key_t *key, uint64_t wait_ms,
                               void **out, hoopauth_failure_t *failure)
{
  rows_t *rows = user_data;
  (void)wait_ms;
  CHECK(*out == NULL && key->account_len > 0);
  hoopauth_status_t status = enter(rows, LEASE, failure);
  if (status != HOOPAUTH_OK) {
    return status;
  }
  pthread_mutex_lock(&rows->lock);
  if (rows->leased == 0) {
    *out = rows;
    rows->leased = 1;
  }
  pthread_mutex_unlock(&rows->lock);
  return HOOPAUTH_OK;
}

static void unlease(void *user_data, void *held)
{
  rows_t *rows = user_data;
  CHECK(held == rows);
  pthread_mutex_lock(&rows->lock);
  rows->leased--;
  rows->unleased++;
  pthread_mutex_unlock(&rows->lock);
}

static hoopauth_status_t take_slot(void *user_data, const char *app, size_t app_len,
                                   uint32_t per_minute, int32_t priority, int64_t now_ms,
                                   uint64_t *wait_ms, hoopauth_failure_t *failure)
{
  CHECK(strlen(app) == app_len && per_minute == 1000 && now_ms > 0 && *wait_ms == 0);
  CHECK(priority >= HOOPAUTH_PRIORITY_SOFT && priority <= HOOPAUTH_PRIORITY_RECOVERY);
  *wait_ms = ((rows_t *)user_data)->slot_wait_ms;
  return enter(user_data, SLOT, failure);
}

static hoopauth_status_t claim(void *user_data, const char *app, size_t app_len, const uint8_t *id,
                               int64_t until_ms, int64_t now_ms, bool *claimed,
                               hoopauth_failure_t *failure)
{
  rows_t *rows = user_data;
  CHECK(strlen(app) == app_len && until_ms > now_ms);
  hoopauth_status_t status = enter(rows, CLAIM, failure);
  if (status != HOOPAUTH_OK) {
    return status;
  }
  pthread_mutex_lock(&rows->lock);
  *claimed = true;
  for (int i = 0; i < rows->claims; i++) {
    *claimed = *claimed && memcmp(rows->claimed[i], id, 16) != 0;
  }
  if (*claimed) {
    CHECK(rows->claims < 16);
    memcpy(rows->claimed[rows->claims++], id, 16);
  }
  pthread_mutex_unlock(&rows->lock);
  return HOOPAUTH_OK;
}

static hoopauth_status_t unclaim(void *user_data, const char *app, size_t app_len,
                                 const uint8_t *id, hoopauth_failure_t *failure)
{
  rows_t *rows = user_data;
  CHECK(strlen(app) == app_len);
  hoopauth_status_t status = enter(rows, UNCLAIM, failure);
  if (status != HOOPAUTH_OK) {
    return status;
  }
  pthread_mutex_lock(&rows->lock);
  for (int i = 0; i < rows->claims; i++) {
    if (memcmp(rows->claimed[i], id, 16) == 0) {
      memset(rows->claimed[i], 0, 16);
    }
  }
  pthread_mutex_unlock(&rows->lock);
  return HOOPAUTH_OK;
}

static hoopauth_status_t changes(void *user_data, uint64_t *number, hoopauth_failure_t *failure)
{
  rows_t *rows = user_data;
  hoopauth_status_t status = enter(rows, CHANGES, failure);
  pthread_mutex_lock(&rows->lock);
  *number = rows->changes;
  pthread_mutex_unlock(&rows->lock);
  return status;
}

static void end_rows(void *user_data)
{
  ((rows_t *)user_data)->destroyed++;
}

static rows_t *new_rows(void)
{
  rows_t *rows = calloc(1, sizeof *rows);
  pthread_mutex_init(&rows->lock, NULL);
  return rows;
}

static void free_rows(rows_t *rows)
{
  CHECK(rows->destroyed == 1 && rows->leased == 0);
  while (rows->rows != NULL) {
    row_t *row = rows->rows;
    rows->rows = row->next;
    free(row->app);
    free(row->account);
    free(row->bytes);
    free(row);
  }
  free(rows);
}

/* The table as programs wrote it that knew load, save and list only: exactly that long. */
typedef struct {
  size_t struct_size;
  void *user_data;
  void (*destroy)(void *user_data);
  hoopauth_status_t (*load)(void *, const hoopauth_row_key_t *, hoopauth_row_t *,
                            hoopauth_failure_t *);
  hoopauth_status_t (*save)(void *, const hoopauth_row_key_t *, uint64_t,
                            const hoopauth_new_row_t *, bool *, hoopauth_failure_t *);
  hoopauth_status_t (*list)(void *, const char *, size_t, hoopauth_row_list_t *,
                            hoopauth_failure_t *);
} short_table_t;

static hoopauth_config_t *short_config(rows_t *rows)
{
  short_table_t *table = calloc(1, sizeof *table);
  table->struct_size = sizeof *table;
  table->user_data = rows;
  table->destroy = end_rows;
  table->load = load;
  table->save = save;
  table->list = list;
  hoopauth_config_t *config = app_config();
  OK(hoopauth_config_set_store(config, (const hoopauth_store_callbacks_t *)(const void *)table,
                               &err));
  free(table);
  set_option(config, "default_account", LOCATION);
  set_option(config, "store_key", "0123456789abcdef");
  return config;
}

static hoopauth_store_callbacks_t full_table(rows_t *rows)
{
  hoopauth_store_callbacks_t table;
  memset(&table, 0, sizeof table);
  table.struct_size = sizeof table;
  table.user_data = rows;
  table.destroy = end_rows;
  table.load = load;
  table.save = save;
  table.list = list;
  table.lease = lease;
  table.unlease = unlease;
  table.take_slot = take_slot;
  table.claim = claim;
  table.unclaim = unclaim;
  table.changes = changes;
  return table;
}

static hoopauth_client_t *full_client(rows_t *rows)
{
  hoopauth_store_callbacks_t table = full_table(rows);
  hoopauth_config_t *config = app_config();
  OK(hoopauth_config_set_store(config, &table, &err));
  set_option(config, "default_account", LOCATION);
  set_option(config, "store_key", "0123456789abcdef");
  set_option(config, "max_wait", "0.05");
  return client_of(config);
}

static void registration(void)
{
  rows_t *rows = new_rows();
  hoopauth_config_t *config = app_config();
  hoopauth_store_callbacks_t table = full_table(rows);
  table.load = NULL;
  FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_config_set_store(config, &table, &err));
  table = full_table(rows);
  table.save = NULL;
  FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_config_set_store(config, &table, &err));
  table = full_table(rows);
  table.list = NULL;
  FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_config_set_store(config, &table, &err));
  table = full_table(rows);
  table.unlease = NULL;
  FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_config_set_store(config, &table, &err));
  table = full_table(rows);
  table.claim = NULL;
  FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_config_set_store(config, &table, &err));
  table = full_table(rows);
  table.struct_size = sizeof(short_table_t) - 1;
  FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_config_set_store(config, &table, &err));
  CHECK(rows->destroyed == 0);
  table.struct_size = sizeof table;
  OK(hoopauth_config_set_store(config, &table, &err));
  hoopauth_config_free(config);
  free_rows(rows);
}

static void login(const hoopauth_client_t *client, const char *as, hoopauth_status_t expected)
{
  hoopauth_pending_authorization_t *pending = NULL;
  OK(hoopauth_client_begin(client, NULL, &pending, &err));
  char *redirect = approve(hoopauth_pending_authorization_url(pending, NULL), as);
  hoopauth_account_t *account = NULL;
  if (expected == HOOPAUTH_OK) {
    OK(hoopauth_client_complete(client, pending, redirect, NUL, NULL, &account, &err));
    hoopauth_account_free(account);
    expected = HOOPAUTH_STATE_MISMATCH;
  }
  FAILS(expected, hoopauth_client_complete(client, pending, redirect, NUL, NULL, &account, &err));
  free(redirect);
  hoopauth_pending_authorization_free(pending);
}

static void works(const hoopauth_client_t *client)
{
  hoopauth_headers_t *headers = NULL;
  OK(hoopauth_client_headers(client, NULL, "GET", NUL, NULL, &headers, &err));
  CHECK(api_call(headers, "/locations/hoopLocation00000001", NULL) == 200);
  hoopauth_headers_free(headers);
}

static void life_of(hoopauth_client_t *client, rows_t *rows)
{
  login(client, LOCATION, HOOPAUTH_OK);
  works(client);
  import(client, LOCATION, 0);
  works(client);
  CHECK(rows->rows != NULL && rows->rows->next == NULL && rows->rows->live && !rows->rows->marked);
  CHECK(rows->rows->expires_at_ms > INT64_C(1500000000000));
  /* Sealed: nothing of the token is in the row. */
  char *issued = control("GET", "grants?account=" LOCATION, "");
  char *access = member(issued, "access_token");
  CHECK(strstr((char *)rows->rows->bytes, access) == NULL);
  free(access);
  free(issued);
  hoopauth_accounts_t *accounts = NULL;
  OK(hoopauth_client_accounts(client, NULL, &accounts, &err));
  CHECK(hoopauth_accounts_count(accounts) == 1 &&
        strcmp(hoopauth_accounts_at(accounts, 0, NULL), LOCATION) == 0);
  hoopauth_accounts_free(accounts);
  bool removed = false;
  OK(hoopauth_client_remove(client, NULL, NULL, &removed, &err));
  CHECK(removed && rows->rows != NULL && !rows->rows->live);
  hoopauth_headers_t *headers = NULL;
  FAILS(HOOPAUTH_NO_GRANT, hoopauth_client_headers(client, NULL, "GET", NUL, NULL, &headers, &err));
  OK(hoopauth_client_accounts(client, NULL, &accounts, &err));
  CHECK(hoopauth_accounts_count(accounts) == 0);
  hoopauth_accounts_free(accounts);
  login(client, LOCATION, HOOPAUTH_OK);
  works(client);
}

static void lives(void)
{
  rows_t *rows = new_rows();
  hoopauth_client_t *client = client_of(short_config(rows));
  life_of(client, rows);
  hoopauth_client_free(client);
  /* Another client of the same rows: what a restart is. */
  rows->destroyed = 0;
  client = client_of(short_config(rows));
  works(client);
  hoopauth_client_free(client);
  free_rows(rows);

  rows = new_rows();
  client = full_client(rows);
  life_of(client, rows);
  CHECK(rows->calls[SLOT] > 0 && rows->calls[CLAIM] > 0 && rows->calls[LEASE] > 0);
  CHECK(rows->unleased == rows->calls[LEASE]);
  hoopauth_client_free(client);
  free_rows(rows);
}

static void failing(void)
{
  static const struct {
    hoopauth_status_t returned, seen;
  } codes[] = {{HOOPAUTH_STORE, HOOPAUTH_STORE},
               {HOOPAUTH_STORE_CORRUPT, HOOPAUTH_STORE_CORRUPT},
               {HOOPAUTH_TIMEOUT, HOOPAUTH_TIMEOUT},
               {HOOPAUTH_NETWORK, HOOPAUTH_NETWORK},
               {HOOPAUTH_NO_GRANT, HOOPAUTH_CALLBACK_FAILED},
               {-1, HOOPAUTH_CALLBACK_FAILED},
               {4711, HOOPAUTH_CALLBACK_FAILED}};
  rows_t *rows = new_rows();
  hoopauth_client_t *client = full_client(rows);
  hoopauth_error_t *error = NULL;
  hoopauth_accounts_t *accounts = NULL;
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
    rows->fails_with = codes[i].returned;
    rows->says_why = i % 2 == 0;
    rows->fails = LIST;
    hoopauth_status_t status = hoopauth_client_accounts(client, NULL, &accounts, &error);
    CHECK(status == codes[i].seen && accounts == NULL);
    CHECK((strstr(hoopauth_error_message(error, NULL), "the disk is full") != NULL) ==
          rows->says_why);
    CHECK(!rows->says_why || hoopauth_error_is_retryable(error));
    hoopauth_error_free(error);
    rows->fails = LOAD;
    hoopauth_grant_t *grant = NULL;
    FAILS(codes[i].seen, hoopauth_client_export(client, NULL, NULL, &grant, &err));
    CHECK(grant == NULL);
    rows->fails = SAVE;
    OK(hoopauth_grant_new(LOCATION, NUL, "an-access-token", NUL, &grant, &err));
    int32_t outcome = 7;
    FAILS(codes[i].seen, hoopauth_client_import(client, grant, false, NULL, &outcome, &err));
    hoopauth_grant_free(grant);
    rows->fails = CLAIM;
    login(client, LOCATION, codes[i].seen);
  }
  rows->fails = 0;

  /* The exchange worked and the save did not: the pair is held, used, and saved later. */
  rows->fails_with = HOOPAUTH_STORE;
  rows->fails = 0;
  import(client, LOCATION, 0);
  for (int function = LEASE; function <= SLOT; function++) {
    rows->fails = function;
    hoopauth_headers_t *headers = NULL;
    FAILS(HOOPAUTH_STORE, hoopauth_client_headers(client, NULL, "GET", NUL, NULL, &headers, &err));
    CHECK(headers == NULL);
  }
  rows->fails = 0;
  works(client);
  rows->fails = CHANGES;
  works(client);
  rows->fails = 0;

  /* An exchange whose grant can't be saved: it is held, used, and saved when the store is well
   * again. */
  rows->fails = SAVE;
  hoopauth_pending_authorization_t *pending = NULL;
  OK(hoopauth_client_begin(client, NULL, &pending, &err));
  char *redirect = approve(hoopauth_pending_authorization_url(pending, NULL), LOCATION);
  hoopauth_account_t *account = NULL;
  OK(hoopauth_client_complete(client, pending, redirect, NUL, NULL, &account, &err));
  hoopauth_health_t *health = NULL;
  OK(hoopauth_client_health(client, account, NULL, &health, &err));
  CHECK(hoopauth_health_is_unsaved(health) && hoopauth_health_last_error(health, NULL) != NULL);
  hoopauth_health_free(health);
  works(client);
  rows->fails = 0;
  works(client);
  hoopauth_accounts_t *all = NULL;
  OK(hoopauth_client_accounts(client, NULL, &all, &err));
  hoopauth_accounts_free(all);
  OK(hoopauth_client_health(client, account, NULL, &health, &err));
  CHECK(!hoopauth_health_is_unsaved(health));
  hoopauth_health_free(health);
  hoopauth_account_free(account);
  hoopauth_pending_authorization_free(pending);
  free(redirect);

  /* An exchange that was not looked at gives its claim back, also where that fails. */
  for (int fails = 0; fails <= UNCLAIM; fails += UNCLAIM) {
    int unclaimed = rows->calls[UNCLAIM];
    rows->fails = fails;
    tell("faults", "{\"endpoint\":\"token\",\"kind\":\"status\",\"status\":429,\"headers\":{"
                   "\"retry-after\":\"0\"},"
                   "\"body\":\"busy\",\"times\":20}");
    login(client, LOCATION, HOOPAUTH_RATE_LIMITED);
    free(control("DELETE", "faults", ""));
    CHECK(rows->calls[UNCLAIM] == unclaimed + 1);
  }
  rows->fails = 0;

  /* A lease that is busy; a row that is not what was saved. */
  import(client, LOCATION, 0);
  rows->lies = true;
  hoopauth_headers_t *headers = NULL;
  FAILS(HOOPAUTH_STORE_CORRUPT,
        hoopauth_client_headers(client, NULL, "GET", NUL, NULL, &headers, &err));
  rows->lies = false;
  pthread_mutex_lock(&rows->lock);
  rows->leased = 1;
  pthread_mutex_unlock(&rows->lock);
  FAILS(HOOPAUTH_LEASE_TIMEOUT,
        hoopauth_client_headers(client, NULL, "GET", NUL, NULL, &headers, &err));
  pthread_mutex_lock(&rows->lock);
  rows->leased = 0;
  pthread_mutex_unlock(&rows->lock);

  /* A budget that is used up; a store that never says yes: an end, and not a long one. */
  rows->slot_wait_ms = 3600000;
  FAILS(HOOPAUTH_RATE_LIMITED,
        hoopauth_client_headers(client, NULL, "GET", NUL, NULL, &headers, &err));
  rows->slot_wait_ms = 0;
  rows->never_saves = true;
  bool removed = false;
  CHECK(hoopauth_client_remove(client, NULL, NULL, &removed, NULL) != HOOPAUTH_OK && !removed);
  rows->never_saves = false;
  works(client);
  hoopauth_client_free(client);
  free_rows(rows);
}

static void calling_back(void)
{
  rows_t *rows = new_rows();
  hoopauth_client_t *client = full_client(rows);
  rows->client = client;
  login(client, LOCATION, HOOPAUTH_OK);
  import(client, LOCATION, 0);
  works(client);
  CHECK(rows->refused > 5);
  rows->client = NULL;
  hoopauth_client_free(client);
  free_rows(rows);
}

static hoopauth_status_t load_refused(void *user_data, const hoopauth_row_key_t *key,
                                      hoopauth_row_t *row, hoopauth_failure_t *failure)
{
  (void)user_data, (void)key, (void)failure;
  FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_row_set(row, 0, (const uint8_t *)"x", 1, &err));
  return HOOPAUTH_OK;
}

static hoopauth_status_t list_refused(void *user_data, const char *app, size_t app_len,
                                      hoopauth_row_list_t *rows, hoopauth_failure_t *failure)
{
  (void)user_data, (void)app, (void)app_len, (void)failure;
  OK(hoopauth_row_list_add(rows, "location:one", NUL, true, false, 0, 0, &err));
  FAILS(HOOPAUTH_INVALID_ARGUMENT,
        hoopauth_row_list_add(rows, "nonsense", NUL, true, false, 0, 0, &err));
  return HOOPAUTH_OK;
}

/* A row that was refused is not the same as no row. */
static void refused_rows(void)
{
  hoopauth_store_callbacks_t store;
  memset(&store, 0, sizeof store);
  store.struct_size = sizeof store;
  store.load = load_refused;
  store.save = save;
  store.list = list_refused;
  hoopauth_config_t *config = app_config();
  OK(hoopauth_config_set_store(config, &store, &err));
  hoopauth_client_t *client = client_of(config);
  hoopauth_headers_t *headers = NULL;
  hoopauth_accounts_t *accounts = NULL;
  FAILS(HOOPAUTH_CALLBACK_FAILED,
        hoopauth_client_headers_by_name(client, "location:one", NUL, "GET", NUL, NULL, &headers,
                                        &err));
  FAILS(HOOPAUTH_CALLBACK_FAILED, hoopauth_client_accounts(client, NULL, &accounts, &err));
  hoopauth_client_free(client);
}

/* Without a word on it grants are in the user's own file, made at the first use; a static token is
 * in none. */
static void the_users_own(void)
{
  char folder[] = "/tmp/hoopauth-store-XXXXXX", path[64];
  static const char *const made[] = {"grants.db", "grants.db-wal", "grants.db-shm",
                                     "grants.db-lock", "store.key"};
  CHECK(mkdtemp(folder) != NULL);
  setenv("XDG_DATA_HOME", folder, 1);
  hoopauth_config_t *config = NULL;
  OK(hoopauth_config_new(&config, &err));
  set_option(config, "private_integration_token", "pit-1");
  hoopauth_client_t *client = client_of(config);
  hoopauth_headers_t *headers = NULL;
  OK(hoopauth_client_headers(client, NULL, "GET", NUL, NULL, &headers, &err));
  hoopauth_headers_free(headers);
  hoopauth_client_free(client);
  snprintf(path, sizeof path, "%s/hoopauth", folder);
  CHECK(access(path, F_OK) != 0);

  for (int time = 0; time < 2; time++) {
    OK(hoopauth_config_new(&config, &err));
    set_option(config, "client_id", "a-b");
    set_option(config, "client_secret", "c");
    client = client_of(config);
    if (time == 0) {
      hoopauth_grant_t *grant = NULL;
      CHECK(access(path, F_OK) != 0);
      OK(hoopauth_grant_new(LOCATION, NUL, "token", NUL, &grant, &err));
      OK(hoopauth_grant_set_expires_at_ms(grant, INT64_C(4000000000000), &err));
      OK(hoopauth_client_import(client, grant, false, NULL, NULL, &err));
      hoopauth_grant_free(grant);
    }
    OK(hoopauth_client_headers_by_name(client, LOCATION, NUL, "GET", NUL, NULL, &headers, &err));
    CHECK(strcmp(hoopauth_headers_authorization(headers, NULL), "Bearer token") == 0);
    hoopauth_headers_free(headers);
    hoopauth_client_free(client);
  }
  for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
    snprintf(path, sizeof path, "%s/hoopauth/%s", folder, made[i]);
    CHECK(unlink(path) == 0 || made[i][9] == '-');
  }
  snprintf(path, sizeof path, "%s/hoopauth", folder);
  CHECK(rmdir(path) == 0 && rmdir(folder) == 0);
  unsetenv("XDG_DATA_HOME");
}

int main(void)
{
  the_users_own();
  refused_rows();
  registration();
  lives();
  failing();
  calling_back();
  return 0;
}
