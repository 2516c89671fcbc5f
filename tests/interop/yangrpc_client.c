/* A NETCONF client on libyangrpc (yuma123): connects by password and carries out commands of yangcli.
 *
 * usage: yangrpc_client PORT USER PASSWORD COMMAND...
 * Every reply is printed; "closed" is the last line of a good run.
 *
 * Debian's libyangrpc-dev lacks the headers that its own header includes, so what is used is declared here.
 */
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
typedef void *cb_t;
typedef struct val_value_t_ val_value_t;
typedef int status_t;

status_t yangrpc_init(const char *args);
status_t yangrpc_connect(const char *, uint16_t, const char *, const char *, const char *, const char *, const char *, cb_t *);
status_t yangrpc_parse_cli(cb_t, const char *, val_value_t **);
status_t yangrpc_exec(cb_t, val_value_t *, val_value_t **);
void yangrpc_close(cb_t);
void val_dump_value(val_value_t *, int32_t);

int main(int argc, char **argv) {
  cb_t cb;
  status_t res;
  if (argc < 4)
    return 1;
  if ((res = yangrpc_init(NULL)) != 0) { fprintf(stderr, "init %d\n", res); return 2; }
  res = yangrpc_connect("127.0.0.1", (uint16_t)atoi(argv[1]), argv[2], argv[3], NULL, NULL, "", &cb);
  if (res) { fprintf(stderr, "connect %d\n", res); return 3; }
  for (int i = 4; i < argc; i++) {
    val_value_t *request = NULL, *reply = NULL;
    if ((res = yangrpc_parse_cli(cb, argv[i], &request))) { fprintf(stderr, "parse %d: %s\n", res, argv[i]); return 4; }
    if ((res = yangrpc_exec(cb, request, &reply))) { fprintf(stderr, "exec %d: %s\n", res, argv[i]); return 5; }
    val_dump_value(reply, 0);
  }
  yangrpc_close(cb);
  printf("closed\n");
  return 0;
}
