/* What a C program costs that does nothing: the floor of a cold start. */
int main(void) { return 0; }
