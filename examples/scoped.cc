/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * A request in C++: its destructor ends a child that is still running, and each
 * failure is thrown.  The program prints the network namespace that its action
 * was in.
 *
 *	c++ -std=c++11 -o scoped scoped.cc $(pkg-config --cflags --libs gons)
 *	./scoped user /proc/4711/ns/user net /proc/4711/ns/net
 */

#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <new>
#include <stdexcept>
#include <string>

#include <gons.h>

class Request {
public:
	explicit Request(const char *action) : req(gons_reexec_new(action))
	{
		if (req == nullptr)
			throw std::bad_alloc();
	}
	~Request() { gons_reexec_free(req); }
	Request(const Request &) = delete;
	Request &operator=(const Request &) = delete;

	void join(const char *type, const char *reference)
	{
		check(gons_reexec_namespace(req, type, reference));
	}
	std::string run()
	{
		size_t len;

		check(gons_reexec_run(req));
		const void *result = gons_reexec_result(req, &len);
		return std::string(static_cast<const char *>(result), len);
	}

private:
	void check(int r)
	{
		const char *why = gons_reexec_error(req);

		if (r == -1)
			throw std::runtime_error(why != nullptr ? why : "busy");
	}
	struct gons_reexec *req;
};

static int
where()
{
	char name[64];
	ssize_t len = readlink("/proc/self/ns/net", name, sizeof(name));

	if (len == -1)
		return 1;
	std::printf("%.*s\n", static_cast<int>(len), name);
	return 0;
}

int
main(int argc, char *argv[])
{
	gons_reexec_register("where", where);
	gons_reexec_check();
	try {
		Request request("where");

		for (int i = 1; i + 1 < argc; i += 2)
			request.join(argv[i], argv[i + 1]);
		std::cout << request.run();
	} catch (const std::exception &e) {
		std::cerr << "scoped: " << e.what() << '\n';
		return 1;
	}
	return 0;
}
