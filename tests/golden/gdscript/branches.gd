func f(a, b):
	if a and b or a:
		for x in y:
			while b:
				pass
	elif b:
		g()
	else:
		h()
