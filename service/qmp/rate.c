/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/qmp/rate.h"

#include <glib.h>

/* An event costs a million credits, so that a rate per second is credits per microsecond. */
#define EVENT_COST UINT64_C(1000000)

static uint64_t credit_max(const QMPRate *rate)
{
    return rate->burst * EVENT_COST;
}

/* What the bucket holds at `now`; a clock that went backwards adds nothing. */
static uint64_t credit_at(const QMPBucket *bucket, const QMPRate *rate, uint64_t now)
{
    uint64_t elapsed = now > bucket->since ? now - bucket->since : 0;
    uint64_t credit = MIN(bucket->credit, credit_max(rate));

    /* The division keeps a long quiet time from overflowing the product. */
    if (rate->per_second > 0 && elapsed > (credit_max(rate) - credit) / rate->per_second)
        return credit_max(rate);
    return credit + elapsed * rate->per_second;
}

void qmp_bucket_fill(QMPBucket *bucket, const QMPRate *rate, uint64_t now)
{
    *bucket = (QMPBucket){.credit = credit_max(rate), .since = now};
}

bool qmp_bucket_take(QMPBucket *bucket, const QMPRate *rate, uint64_t now)
{
    bucket->credit = credit_at(bucket, rate, now);
    bucket->since = MAX(now, bucket->since);
    if (bucket->credit < EVENT_COST)
        return false;
    bucket->credit -= EVENT_COST;
    return true;
}

bool qmp_bucket_is_full(const QMPBucket *bucket, const QMPRate *rate, uint64_t now)
{
    return credit_at(bucket, rate, now) >= credit_max(rate);
}
