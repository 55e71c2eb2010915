extern int told(int);

static inline int twice(int number)
{
	if (number > 100)
		return told(number);
	return number * 2;
}

int counted(int number, int *left)
{
	if (number == 7) {
		asm volatile("1: ud2\n"
			     ".pushsection __bug_table,\"a\"\n"
			     "2: .long 1b - 2b, 0\n"
			     ".word 0, 1\n"
			     ".popsection");
		*left = 0;
	}
	if (__builtin_expect(number < 0, 0))
		__builtin_trap();
	return twice(number);
}
