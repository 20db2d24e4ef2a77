/* What a careless program keeps of its surroundings. */
const char *where(void)
{
    return __FILE__ " " __DATE__ " " __TIME__;
}
