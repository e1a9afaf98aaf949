/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Answers to commands of this node: each is held until what it says cannot be undone any more. */
#include "config.h"
#include <errno.h>
#include "clusterd/io/nodeio_int.h"

void nodeio_answer_hold(struct nodeio *n, const struct clu_action *a)
{
	struct nodeio_answer *h;

	if (!a->index) { /* it was not done */
		n->ops->answer(n->arg, a->request, &a->answer);
		return;
	}
	h = calloc(1, sizeof(*h));
	if (!h)
		return; /* the client's time limit tells it */
	h->request = a->request;
	h->index = a->index;
	h->answer = a->answer;
	h->next = n->answers;
	n->answers = h;
}

void nodeio_answers_release(struct nodeio *n, uint64_t commit)
{
	for (struct nodeio_answer **p = &n->answers; *p;) {
		struct nodeio_answer *h = *p;

		if (h->index > commit) {
			p = &h->next;
			continue;
		}
		*p = h->next;
		n->ops->answer(n->arg, h->request, &h->answer);
		free(h);
	}
}

void nodeio_answers_forget(struct nodeio *n, bool tell)
{
	static const struct clu_answer unknown = {
		.status = -EIO,
		.text = "this node lost touch with the cluster: it is not known whether that was done, see vmclus status"
	};

	while (n->answers) {
		struct nodeio_answer *h = n->answers;

		n->answers = h->next;
		if (tell)
			n->ops->answer(n->arg, h->request, &unknown);
		free(h);
	}
}
