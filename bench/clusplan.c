/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vmclus simulate as a program of its own: nothing else of a cluster is linked, so that times are the planner's. */
#include "config.h"
#include "tools/vmclus_simulate.h"

int main(int argc, char **argv)
{
	return vmclus_simulate(argc, argv);
}
