# ruff: noqa: RUF001 (letters of other scripts are meant)
"""Words that stand in dates: months and days of the week in the languages of Europe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# Full names, in the forms that dates have, and usual abbreviations: German, French, Spanish, Italian, Portuguese,
# Dutch, Swedish, Danish, Norwegian, Polish, Czech, Russian, Ukrainian, Romanian and Turkish.
MONTHS: Final[Mapping[str, str]] = {
    "Jan": """
        januar jänner janvier enero gennaio janeiro januari styczeń stycznia leden ledna январь
        января січня ianuarie ocak jän janv ene gen stycz sty led янв ian oca jan
    """,
    "Feb": """
        februar feber février fevrier febrero febbraio fevereiro februari luty lutego únor února
        февраль февраля лютого februarie şubat févr fevr fév fev lut úno фев февр şub feb
    """,
    "Mar": """
        märz maerz mars marzo março marco maart marzec marca březen března март марта березня martie
        mart marts mär mrz mrt bře мар mar
    """,
    "Apr": """
        april avril abril aprile kwiecień kwietnia duben dubna апрель апреля квітня aprilie nisan
        avr abr kwi dub апр nis apr
    """,
    "May": """
        mai mayo maggio maio mei maj maja květen května май мая травня mayıs mag kvě may
    """,
    "Jun": """
        juni juin junio giugno junho czerwiec czerwca červen června июнь июня червня iunie haziran
        giu cze июн iun haz jun
    """,
    "Jul": """
        juli juillet julio luglio julho lipiec lipca červenec července июль июля липня iulie temmuz
        juil lug lip июл iul tem jul
    """,
    "Aug": """
        august août aout agosto augustus augusti sierpień sierpnia srpen srpna август августа серпня
        ağustos ago sie srp авг ağu aug
    """,
    "Sep": """
        september septembre septiembre setiembre settembre setembro wrzesień września září сентябрь
        сентября вересня septembrie eylül sept set wrz zář сен сент eyl sep
    """,
    "Oct": """
        oktober octobre octubre ottobre outubro październik października říjen října октябрь октября
        жовтня octombrie ekim okt ott out paź říj окт eki oct
    """,
    "Nov": """
        november novembre noviembre novembro listopad listopada listopadu ноябрь ноября листопада
        noiembrie kasım lis ноя noi kas nov
    """,
    "Dec": """
        dezember décembre decembre diciembre dicembre dezembro december grudzień grudnia prosinec
        prosince декабрь декабря грудня desember decembrie aralık déc dez des dic gru pro дек ara
        dec
    """,
}
# German, French, Spanish, Italian, Portuguese and Dutch; none that is a month as well.
WEEKDAYS: Final = """
    montag dienstag mittwoch donnerstag freitag samstag sonnabend sonntag mo di mi do fr sa so lundi
    mardi mercredi jeudi vendredi samedi dimanche lun mer jeu ven sam dim lunes martes miércoles
    miercoles jueves viernes sábado sabado domingo mié mie jue vie sáb sab dom lunedì martedì
    mercoledì giovedì venerdì sabato domenica gio segunda-feira terça-feira quarta-feira
    quinta-feira sexta-feira seg ter qua qui sex maandag dinsdag woensdag donderdag vrijdag zaterdag
    zondag ma wo vr za zo
"""
