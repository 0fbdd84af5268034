/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <stdio.h>

#include "cli/guestbusctl/table.h"
#include "cli/guestbusctl/text.h"

typedef struct Cell {
    char *text;
    size_t width;
    TableColour colour;
} Cell;

struct Table {
    const char *const *titles;
    size_t columns;
    bool colour;
    GArray *cells;
};

static const char *const COLUMN_GAP = "  ";

/* A longer cell pushes the rest of its own row aside, and not those of all others. */
#define COLUMN_WIDTH_MAX 48

const char *colour_on(bool colour, TableColour which)
{
    static const char *const codes[] = {
        [COLOUR_NONE] = "",          [COLOUR_GOOD] = "\x1b[32m", [COLOUR_WARN] = "\x1b[33m",
        [COLOUR_BAD] = "\x1b[1;31m", [COLOUR_FAINT] = "\x1b[2m",
    };

    return colour ? codes[which] : "";
}

const char *colour_off(bool colour, TableColour which)
{
    return colour && which != COLOUR_NONE ? "\x1b[0m" : "";
}

static void cell_clear(void *data)
{
    g_free(((Cell *)data)->text);
}

Table *table_new(const char *const *titles, bool colour)
{
    Table *table = g_new0(Table, 1);

    table->titles = titles;
    table->columns = g_strv_length((char **)titles);
    table->colour = colour;
    table->cells = g_array_new(FALSE, FALSE, sizeof(Cell));
    g_array_set_clear_func(table->cells, cell_clear);
    return table;
}

void table_free(Table *table)
{
    if (!table)
        return;
    g_array_unref(table->cells);
    g_free(table);
}

void table_add(Table *table, const char *text, TableColour colour)
{
    Cell cell = {.text = text_escape(text), .colour = colour};

    cell.width = text_width(cell.text);
    g_array_append_val(table->cells, cell);
}

static bool column_is_right(const Table *table, size_t column)
{
    return table->titles[column][0] == '>';
}

static const char *column_title(const Table *table, size_t column)
{
    return table->titles[column] + (column_is_right(table, column) ? 1 : 0);
}

static void cell_print(const Table *table, size_t column, const Cell *cell, size_t width, bool last)
{
    size_t pad = width > cell->width ? width - cell->width : 0;
    bool right = column_is_right(table, column);

    printf("%*s%s%s%s%*s%s", right ? (int)pad : 0, "", colour_on(table->colour, cell->colour), cell->text,
           colour_off(table->colour, cell->colour), right || last ? 0 : (int)pad, "",
           last ? "\n" : COLUMN_GAP);
}

/* One line, without blanks after the last cell that has something in it. */
static void row_print(const Table *table, const Cell *cells, const size_t *widths)
{
    size_t end = table->columns;

    while (end > 1 && cells[end - 1].width == 0)
        end--;
    for (size_t i = 0; i < end; i++)
        cell_print(table, i, &cells[i], widths[i], i + 1 == end);
}

static void titles_print(const Table *table, const size_t *widths)
{
    g_autofree Cell *cells = g_new0(Cell, table->columns);

    for (size_t i = 0; i < table->columns; i++) {
        cells[i].text = (char *)column_title(table, i);
        cells[i].width = text_width(cells[i].text);
        cells[i].colour = COLOUR_FAINT;
    }
    row_print(table, cells, widths);
}

void table_print(const Table *table, bool legend)
{
    const Cell *cells = (const Cell *)(void *)table->cells->data;
    g_autofree size_t *widths = g_new0(size_t, table->columns);

    for (size_t i = 0; legend && i < table->columns; i++)
        widths[i] = text_width(column_title(table, i));
    for (size_t i = 0; i < table->cells->len; i++)
        widths[i % table->columns] = MAX(widths[i % table->columns], MIN(cells[i].width, COLUMN_WIDTH_MAX));
    if (legend)
        titles_print(table, widths);
    for (size_t i = 0; i + table->columns <= table->cells->len; i += table->columns)
        row_print(table, cells + i, widths);
}
