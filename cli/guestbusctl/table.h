/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

typedef struct Table Table;

typedef enum TableColour {
    COLOUR_NONE,
    COLOUR_GOOD,
    COLOUR_WARN,
    COLOUR_BAD,
    COLOUR_FAINT,
} TableColour;

/* A table with a column for each title; a title that starts with ">" makes a column of numbers, flush right.
 * The titles must outlive the table. */
Table *table_new(const char *const *titles, bool colour);

void table_free(Table *table);

/* Adds the next cell, row by row. The text is cleaned for the terminal here, and nowhere before. */
void table_add(Table *table, const char *text, TableColour colour);

/* Prints all rows, below the titles when the legend is wanted. */
void table_print(const Table *table, bool legend);

/* Starts and ends a colour in running text, or gives "" where there are none. */
const char *colour_on(bool colour, TableColour which);
const char *colour_off(bool colour, TableColour which);

static inline void table_freep(Table **table)
{
    table_free(*table);
}
